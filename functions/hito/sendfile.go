package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/valyala/fastjson"
	"golang.org/x/term"

	"github.com/hitolayer/hito/functions/hito/accesslog"
)

// maxLine bounds a line of input; longer ones are malformed.
const maxLine = 1 << 20

// maxReports is how many malformed lines are told one by one.
const maxReports = 20

// feedFile sends a file's lines. A malformed line is reported and does not stop
// the others.
func (c *sendCmd) feedFile(s *sending, name string) error {
	file, size := os.Stdin, int64(-1)
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	bar := progress(size, name, true)
	defer bar.Finish() //nolint:errcheck // it only draws
	in, err := inflate(io.TeeReader(file, bar))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var parser fastjson.Parser
	for number := 1; ; number++ {
		line, err := readLine(in)
		if err == io.EOF {
			return nil
		}
		var event []byte
		switch {
		case errors.Is(err, errLongLine):
		case err != nil:
			return fmt.Errorf("read %s line %d: %w", name, number, err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case c.AccessLog:
			event, err = logEvent(number, string(line), c.Site)
		default:
			event, err = jsonEvent(&parser, line)
		}
		if err == nil && len(event) > maxEventBytes {
			err = fmt.Errorf("the event has %d bytes, at most %d are taken", len(event), maxEventBytes)
		}
		if err != nil {
			if s.malformed++; s.malformed <= maxReports {
				_ = bar.Clear()
				fmt.Fprintf(os.Stderr, "%s:%d: %v\n", name, number, err)
			} else if s.malformed == maxReports+1 {
				fmt.Fprintln(os.Stderr, "Further malformed lines are only counted.")
			}
			continue
		}
		if err := s.put(event); err != nil {
			return err
		}
	}
}

func logEvent(number int, line, site string) ([]byte, error) {
	l, err := accesslog.Parse(line)
	if err != nil {
		return nil, err
	}
	return l.Event(number, line, site)
}

// jsonEvent checks a line and gives it a message id if it has none.
func jsonEvent(parser *fastjson.Parser, line []byte) ([]byte, error) {
	doc, err := parser.ParseBytes(line)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if doc.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("want a JSON object, got %s", doc.Type())
	}
	if len(doc.GetStringBytes("messageId")) > 0 {
		return bytes.Clone(line), nil
	}
	doc.Set("messageId", new(fastjson.Arena).NewString(mintID()))
	return doc.MarshalTo(nil), nil
}

func mintID() string { return "send-" + rand.Text() }

// inflate reads gzip when the input is gzip.
func inflate(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, 64<<10), nil
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes", maxLine)

// readLine returns the next line without its end; io.EOF after the last one. It
// passes over a line that is too long and returns errLongLine.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for long := false; ; {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; long {
			line = line[:0]
		} else {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, errLongLine
		case err == io.EOF && len(line) == 0:
			return nil, io.EOF
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'}), nil
	}
}

// progress draws on a terminal only. A negative total is unknown.
func progress(total int64, what string, inBytes bool) *progressbar.ProgressBar {
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetVisibility(terminal),
		progressbar.OptionShowBytes(inBytes),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}
