package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection that posts prebuilt requests. It
// knows only what a beacon answers with, which makes it several times cheaper
// than net/http: the generator shares its cores with what it measures.
type conn struct {
	addr    string
	timeout time.Duration
	net     net.Conn
	in      *bufio.Reader
}

// answer is a response's part that matters.
type answer struct {
	status int
	// retryAfter is the header's seconds, 0 without one.
	retryAfter int
}

// post writes the request and reads its answer. After an error the next post
// begins with a new connection.
func (c *conn) post(request []byte) (answer, error) {
	if c.net == nil {
		n, err := net.DialTimeout("tcp", c.addr, c.timeout)
		if err != nil {
			return answer{}, err
		}
		c.net = n
		c.in = bufio.NewReaderSize(n, 16<<10)
	}
	_ = c.net.SetDeadline(time.Now().Add(c.timeout)) // a closed connection says so below
	if _, err := c.net.Write(request); err != nil {
		c.close()
		return answer{}, err
	}
	a, closing, err := readAnswer(c.in)
	if err != nil || closing {
		c.close()
	}
	return a, err
}

func (c *conn) close() {
	if c.net != nil {
		c.net.Close()
		c.net = nil
	}
}

// readAnswer reads a response with a Content-Length and drops its body.
func readAnswer(in *bufio.Reader) (a answer, closing bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return answer{}, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return answer{}, false, fmt.Errorf("not an HTTP/1 answer: %q", line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return answer{}, false, fmt.Errorf("not an HTTP status: %q", line)
	}
	length := -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return answer{}, false, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Retry-After")):
			a.retryAfter, err = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Connection")):
			closing = bytes.EqualFold(value, []byte("close"))
		}
		if err != nil {
			return answer{}, false, fmt.Errorf("header %q: %w", line, err)
		}
	}
	if length < 0 && closing {
		return a, true, nil // the body ends with the connection
	}
	if length < 0 {
		return answer{}, false, fmt.Errorf("an answer of status %d without Content-Length", a.status)
	}
	_, err = in.Discard(length)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return a, closing, err
}
