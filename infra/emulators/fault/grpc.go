package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// GRPC stands before an emulator that speaks gRPC, passes calls on, whatever they
// are, and makes some fail. Set Endpoint before the first call.
type GRPC struct {
	// Endpoint is the emulator's host and port.
	Endpoint string

	conn   *grpc.ClientConn
	mu     sync.Mutex
	rules  []GRPCRule
	failed int
}

// GRPCRule makes calls fail.
type GRPCRule struct {
	// Method is how a method's name ends: "CheckAndMutateRow".
	Method      string
	Probability float64
	// Code is what the call fails with.
	Code codes.Code
	// After has it fail once it has had its effect: what was answered is lost, of
	// several answers the last ones.
	After bool
}

// SetRules replaces the rules. The first that fits a call, and whose chance it is,
// has it fail.
func (p *GRPC) SetRules(rules ...GRPCRule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
}

// Failed returns how many calls were made to fail.
func (p *GRPC) Failed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

func (p *GRPC) rule(method string) (GRPCRule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if strings.HasSuffix(method, r.Method) && rand.Float64() < r.Probability {
			p.failed++
			return r, true
		}
	}
	return GRPCRule{}, false
}

// ServeGRPC serves p on a loopback port, until the test ends, and returns its host and port.
func ServeGRPC(t testing.TB, p *GRPC) string {
	t.Helper()
	var err error
	if p.conn, err = grpc.NewClient(p.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(64<<20))); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(p.pass), grpc.MaxRecvMsgSize(64<<20))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		_ = p.conn.Close()
	})
	return listener.Addr().String()
}

// frame is a message as it is on the wire.
type frame struct{ data []byte }

// raw is a codec that leaves messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("fault: no frame but %T", v)
	}
	return f.data, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("fault: no frame but %T", v)
	}
	f.data = append([]byte(nil), data...) // gRPC uses the memory again
	return nil
}

func (raw) Name() string { return "proto" }

// pass passes a call on.
func (p *GRPC) pass(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	rule, fails := p.rule(method)
	failure := status.Error(rule.Code, "made to fail")
	if fails && !rule.After {
		return failure
	}
	ctx, cancel := context.WithCancel(in.Context())
	defer cancel()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, md)
	}
	out, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		for {
			f := new(frame)
			if err := in.RecvMsg(f); err != nil {
				if errors.Is(err, io.EOF) {
					_ = out.CloseSend()
				} else {
					cancel()
				}
				return
			}
			if out.SendMsg(f) != nil {
				return
			}
		}
	}()
	sent := 0
	for {
		f := new(frame)
		if err := out.RecvMsg(f); err != nil {
			in.SetTrailer(out.Trailer())
			if fails {
				return failure
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if sent == 0 {
			if header, err := out.Header(); err == nil {
				_ = in.SetHeader(header)
			}
		}
		if fails && sent > 0 {
			continue // read to the end, so that all of it has its effect
		}
		sent++
		if fails && strings.HasSuffix(method, "ReadRows") || !fails {
			if err := in.SendMsg(f); err != nil {
				return err
			}
		}
	}
}
