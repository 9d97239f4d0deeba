package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// emulator speaks gRPC: it answers each message of a call in kind, and keeps what
// it got.
type emulator struct {
	mu     sync.Mutex
	got    []string // "method message"
	ended  int      // calls that are over
	meta   metadata.MD
	called chan struct{} // gets one for each message, if there is one
	stays  bool          // calls end when the caller goes away
}

func (e *emulator) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(e.call), grpc.MaxRecvMsgSize(math.MaxInt32))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return l.Addr().String()
}

func (e *emulator) call(_ any, s grpc.ServerStream) error {
	defer func() {
		e.mu.Lock()
		e.ended++
		e.mu.Unlock()
	}()
	method, _ := grpc.MethodFromServerStream(s)
	method = method[strings.LastIndex(method, "/")+1:]
	e.mu.Lock()
	e.meta, _ = metadata.FromIncomingContext(s.Context())
	e.mu.Unlock()
	_ = s.SetHeader(metadata.Pairs("x-header", "h"))
	s.SetTrailer(metadata.Pairs("x-trailer", "t"))
	for {
		f := new(frame)
		if err := s.RecvMsg(f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		text := string(f.data)
		e.mu.Lock()
		e.got = append(e.got, method+" "+text)
		e.mu.Unlock()
		if e.called != nil {
			e.called <- struct{}{}
		}
		if e.stays {
			<-s.Context().Done()
			return s.Context().Err()
		}
		if text == "refuse" {
			return status.Error(codes.FailedPrecondition, "of its own")
		}
		n := 1
		if _, err := fmt.Sscanf(text, "rows %d", &n); err != nil {
			n = 1
		}
		for i := range n {
			if err := s.SendMsg(&frame{fmt.Appendf(nil, "%s's %d", text, i)}); err != nil {
				return err
			}
		}
	}
}

func (e *emulator) calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

// through returns a connection to the emulator, through p.
func through(t *testing.T, e *emulator, p *GRPC) *grpc.ClientConn {
	t.Helper()
	p.Endpoint = e.serve(t)
	conn, err := grpc.NewClient(ServeGRPC(t, p), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask calls a method with one message, and returns all answers.
func ask(ctx context.Context, conn *grpc.ClientConn, method, text string, opts ...grpc.CallOption) (answers []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/google.x.v1.X/"+method, opts...)
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(&frame{[]byte(text)}); err != nil && !errors.Is(err, io.EOF) { // its end says why
		return nil, err
	}
	if err := s.CloseSend(); err != nil {
		return nil, err
	}
	for {
		f := new(frame)
		if err := s.RecvMsg(f); errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return answers, err
		}
		answers = append(answers, string(f.data))
	}
}

// TestGRPCPassesOn: without rules nobody notices that something stands between.
func TestGRPCPassesOn(t *testing.T) {
	e, p := new(emulator), new(GRPC)
	conn := through(t, e, p)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-asked", "a", "x-asked", "b", "x-bin", "\x00\xff")
	var header, trailer metadata.MD
	answers, err := ask(ctx, conn, "Get", "one", grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || !slices.Equal(answers, []string{"one's 0"}) {
		t.Errorf("%q, %v", answers, err)
	}
	if !slices.Equal(header["x-header"], []string{"h"}) || !slices.Equal(trailer["x-trailer"], []string{"t"}) {
		t.Errorf("header %v, trailer %v", header, trailer)
	}
	if !slices.Equal(e.meta["x-asked"], []string{"a", "b"}) || !slices.Equal(e.meta["x-bin"], []string{"\x00\xff"}) {
		t.Errorf("told %v", e.meta)
	}
	if answers, err := ask(ctx, conn, "ReadRows", "rows 100"); err != nil || len(answers) != 100 || answers[99] != "rows 100's 99" {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	if answers, err := ask(ctx, conn, "ReadRows", "rows 0"); err != nil || len(answers) != 0 {
		t.Errorf("no rows: %q, %v", answers, err)
	}
	if _, err := ask(ctx, conn, "Get", "refuse"); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "of its own") {
		t.Errorf("the emulator's own error: %v", err)
	}
	large := strings.Repeat("x", 10<<20) // as Pub/Sub's largest request
	if answers, err := ask(ctx, conn, "Publish", large); err != nil || len(answers) != 1 || len(answers[0]) != len(large)+4 {
		t.Errorf("a large message: %v", err)
	}
	if p.Failed() != 0 {
		t.Errorf("%d failed", p.Failed())
	}
}

// TestGRPCStreams: both sides talk as long as they like, as a pull does.
func TestGRPCStreams(t *testing.T) {
	conn := through(t, new(emulator), new(GRPC))
	s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/google.x.v1.X/StreamingPull")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		text := fmt.Sprint("message ", i)
		if err := s.SendMsg(&frame{[]byte(text)}); err != nil {
			t.Fatal(err)
		}
		f := new(frame)
		if err := s.RecvMsg(f); err != nil || string(f.data) != text+"'s 0" {
			t.Fatalf("%q, %v", f.data, err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(new(frame)); !errors.Is(err, io.EOF) {
		t.Errorf("it ends with %v", err)
	}
}

// TestGRPCFailsBefore: what fails so has had no effect.
func TestGRPCFailsBefore(t *testing.T) {
	e, p := new(emulator), new(GRPC)
	conn := through(t, e, p)
	p.SetRules(GRPCRule{Method: "Mutate", Probability: 1, Code: codes.Unavailable})
	for range 3 {
		if answers, err := ask(t.Context(), conn, "CheckAndMutate", "one"); status.Code(err) != codes.Unavailable || len(answers) != 0 {
			t.Errorf("%q, %v", answers, err)
		}
	}
	if got := e.calls(); len(got) != 0 || p.Failed() != 3 {
		t.Errorf("the emulator got %q of %d calls that failed", got, p.Failed())
	}
	if _, err := ask(t.Context(), conn, "MutateRows", "two"); err != nil {
		t.Errorf("another method: %v", err)
	}
	p.SetRules()
	if _, err := ask(t.Context(), conn, "CheckAndMutate", "three"); err != nil || !slices.Equal(e.calls(), []string{"MutateRows two", "CheckAndMutate three"}) {
		t.Errorf("without rules: %v, the emulator got %q", err, e.calls())
	}
}

// TestGRPCFailsAfter: what fails so has had its whole effect, once, and its caller
// cannot know.
func TestGRPCFailsAfter(t *testing.T) {
	e, p := new(emulator), new(GRPC)
	conn := through(t, e, p)
	p.SetRules(GRPCRule{Probability: 1, Code: codes.DeadlineExceeded, After: true})
	if answers, err := ask(t.Context(), conn, "Publish", "one"); status.Code(err) != codes.DeadlineExceeded || len(answers) != 0 {
		t.Errorf("%q, %v", answers, err)
	}
	// Of several answers the first one came through.
	if answers, err := ask(t.Context(), conn, "ReadRows", "rows 5"); status.Code(err) != codes.DeadlineExceeded || !slices.Equal(answers, []string{"rows 5's 0"}) {
		t.Errorf("%q, %v", answers, err)
	}
	if answers, err := ask(t.Context(), conn, "Commit", "refuse"); status.Code(err) != codes.DeadlineExceeded || len(answers) != 0 {
		t.Errorf("what the emulator refuses: %q, %v", answers, err)
	}
	if got := e.calls(); !slices.Equal(got, []string{"Publish one", "ReadRows rows 5", "Commit refuse"}) || e.ended != 3 || p.Failed() != 3 {
		t.Errorf("the emulator got %q, %d calls have ended, %d failed", got, e.ended, p.Failed())
	}
}

// TestGRPCRules: the first rule that fits strikes, each as often as it is told to.
func TestGRPCRules(t *testing.T) {
	e, p := new(emulator), new(GRPC)
	conn := through(t, e, p)
	p.SetRules(
		GRPCRule{Method: "Publish", Probability: 0, Code: codes.Internal},
		GRPCRule{Method: "Publish", Probability: 1, Code: codes.Aborted},
		GRPCRule{Method: "Publish", Probability: 1, Code: codes.Internal},
		GRPCRule{Method: "Get", Probability: 0.5, Code: codes.Unavailable},
	)
	if _, err := ask(t.Context(), conn, "Publish", "x"); status.Code(err) != codes.Aborted {
		t.Error(err)
	}
	const n = 400
	failed := 0
	for range n {
		if _, err := ask(t.Context(), conn, "Get", "x"); status.Code(err) == codes.Unavailable {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	if failed < n/4 || failed > n*3/4 || p.Failed() != failed+1 || len(e.calls()) != n-failed {
		t.Errorf("%d of %d failed, %d are said to, %d had an effect", failed, n, p.Failed(), len(e.calls()))
	}
}

// TestGRPCCallerLeaves: a call that its caller gives up ends at the emulator too,
// by cancellation as by a deadline.
func TestGRPCCallerLeaves(t *testing.T) {
	e := &emulator{called: make(chan struct{}, 1), stays: true}
	conn := through(t, e, new(GRPC))
	for i, leave := range []func() (context.Context, context.CancelFunc){
		func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
		func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 200*time.Millisecond)
		},
	} {
		ctx, cancel := leave()
		var asking sync.WaitGroup
		asking.Go(func() {
			if _, err := ask(ctx, conn, "Get", "x"); status.Code(err) != codes.Canceled && status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("it ends with %v", err)
			}
		})
		<-e.called
		if i == 0 {
			cancel()
		}
		asking.Wait()
		cancel()
		ended := func() int { e.mu.Lock(); defer e.mu.Unlock(); return e.ended }
		for deadline := time.Now().Add(time.Minute); ended() != i+1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the call goes on at the emulator")
			}
		}
	}
}

// TestGRPCEmulatorAway: an emulator that is not there is told as what it is.
func TestGRPCEmulatorAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &GRPC{Endpoint: l.Addr().String()}
	_ = l.Close()
	conn, err := grpc.NewClient(ServeGRPC(t, p), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ask(t.Context(), conn, "Get", "x"); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

// TestGRPCAtATime: calls do not mix, and a frame's memory is its own.
func TestGRPCAtATime(t *testing.T) {
	e, p := new(emulator), new(GRPC)
	conn := through(t, e, p)
	p.SetRules(GRPCRule{Method: "Get", Probability: 0.2, Code: codes.Unavailable}, GRPCRule{Method: "Get", Probability: 0.2, Code: codes.Aborted, After: true})
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for i := range 20 {
				text := fmt.Sprintf("%d/%d %s", caller, i, bytes.Repeat([]byte{byte('a' + caller)}, 1000*i))
				answers, err := ask(t.Context(), conn, "Get", text)
				if err == nil && !slices.Equal(answers, []string{text + "'s 0"}) || err != nil && len(answers) != 0 {
					t.Errorf("%.20s is answered %.40q, %v", text, answers, err)
				}
			}
		})
	}
	callers.Wait()
}
