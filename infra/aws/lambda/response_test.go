package lambda

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestResponses(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("{}"))
	_ = z.Close()
	for name, c := range map[string]struct {
		write func(w http.ResponseWriter)
		want  answer
	}{
		"nothing": {func(http.ResponseWriter) {}, answer{StatusCode: 200, Headers: map[string]string{}}},
		"text": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Content-Length", "12")
			w.WriteHeader(201)
			w.WriteHeader(500) // too late
			_, _ = io.WriteString(w, "{\"a\":\"\u2028\\\"é\x00\"}\n")
		}, answer{StatusCode: 201, Headers: map[string]string{"Content-Type": "application/json; charset=utf-8"}, Body: "{\"a\":\"\u2028\\\"é\x00\"}\n"}},
		"sniffed": {func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html><body>")) },
			answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/html; charset=utf-8"}, Body: "<html><body>"}},
		"image": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "image/gif")
			_, _ = w.Write([]byte("GIF89a"))
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "image/gif"}, Body: base64.StdEncoding.EncodeToString([]byte("GIF89a")), IsBase64Encoded: true}},
		"text that is not UTF-8": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("\xff\xfe"))
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain"}, Body: "//4=", IsBase64Encoded: true}},
		"compressed": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, Body: base64.StdEncoding.EncodeToString(zipped.Bytes()), IsBase64Encoded: true}},
		"several values": {func(w http.ResponseWriter) {
			w.Header()["Vary"] = []string{"Origin", "Accept"}
			w.Header()["Set-Cookie"] = []string{"a=1; Path=/", "b=2"}
			w.Header().Set("X-Odd", "a\r\nSet-Cookie: evil=1 \"q\" \xff")
			w.Header()["Empty"] = nil
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				t.Errorf("a body with 204: %v", err)
			}
		}, answer{StatusCode: 204, Headers: map[string]string{"Vary": "Origin, Accept", "X-Odd": "a  Set-Cookie: evil=1 \"q\" \ufffd"}, Cookies: []string{"a=1; Path=/", "b=2"}}},
		"informational": {func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(404) }, answer{StatusCode: 404, Headers: map[string]string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.write(w) })}
			for range 2 { // the second in the first one's memory
				if got := serve(t, h, golden(t, "function-url.json")); !reflect.DeepEqual(got, c.want) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	h := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		_, _ = w.Write([]byte("{}"))
	})}
	got := serve(t, h, edit(t, "function-url.json", map[string]any{"requestContext.http.method": "HEAD"}))
	if got.Body != "" || got.StatusCode != 200 || got.Headers["Etag"] != `"1"` {
		t.Errorf("got %+v", got)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for name, kind := range map[string]string{"text": "text/plain", "binary": "image/png"} {
		t.Run(name, func(t *testing.T) {
			h := &HTTP{Log: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				for range 100 {
					if n, err := w.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
						t.Fatal(n, err)
					}
				}
			})}
			if got := serve(t, h, golden(t, "function-url.json")); got.StatusCode != 500 || len(got.Body) > 1000 {
				t.Errorf("status %d with %d bytes", got.StatusCode, len(got.Body))
			}
		})
	}
}

func TestHandlerPanics(t *testing.T) {
	var log bytes.Buffer
	h := &HTTP{Log: slog.New(slog.NewJSONHandler(&log, nil)), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Half", "done")
		_, _ = w.Write([]byte("half"))
		if r.Method == "POST" {
			panic("poison")
		}
		panic(http.ErrAbortHandler)
	})}
	got := serve(t, h, golden(t, "function-url.json"))
	if got.StatusCode != 500 || got.Headers["X-Half"] != "" || !strings.Contains(got.Body, `"code":"internal"`) || strings.Contains(got.Body, "half") {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{"poison", "TestHandlerPanics", "gateway-1", "goroutine"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log: %s", want, log.String())
		}
	}
	log.Reset()
	if got := serve(t, h, edit(t, "function-url.json", map[string]any{"requestContext.http.method": "GET"})); got.StatusCode != 500 || log.Len() > 0 {
		t.Errorf("an aborted request: %d, logged %s", got.StatusCode, log.String())
	}
}
