package console

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium, driven by its DevTools protocol over a pipe:
// messages are JSON ended by NUL, to its descriptor 3 and from its descriptor 4.
type browser struct {
	t  *testing.T
	in io.Writer

	mu      sync.Mutex
	last    int
	pending map[int]chan reply
	// trouble is every script error, refused load and console error so far.
	trouble []string
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing := "the console is NOT TESTED in a browser: chromium is missing; install it with: apt-get install -y chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	command := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--remote-debugging-pipe", "--user-data-dir="+profile)
	command.ExtraFiles = []*os.File{toBrowser, fromBrowser}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = toBrowser.Close()
	_ = fromBrowser.Close()
	b := &browser{t: t, in: in, pending: map[int]chan reply{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(out)
	}()
	t.Cleanup(func() {
		_ = in.Close() // the browser ends with its pipe
		force := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		force.Stop()
		_ = out.Close()
		<-done
		removeAll(profile)
	})
	return b
}

// removeAll bears the browser's children, which may write for a moment longer.
func removeAll(dir string) {
	for range 50 {
		if os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *browser) read(out io.Reader) {
	reader := bufio.NewReader(out)
	for {
		text, err := reader.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, waiting := range b.pending {
				close(waiting)
			}
			b.pending = nil
			return
		}
		var message struct {
			ID     int
			Method string
			Params json.RawMessage
			reply
		}
		if json.Unmarshal(text[:len(text)-1], &message) != nil {
			continue
		}
		b.mu.Lock()
		switch message.Method {
		case "":
			if waiting := b.pending[message.ID]; waiting != nil {
				waiting <- message.reply
				delete(b.pending, message.ID)
			}
		case "Runtime.exceptionThrown", "Log.entryAdded":
			b.trouble = append(b.trouble, string(message.Params))
		}
		b.mu.Unlock()
	}
}

// call sends a command and returns its result.
func (b *browser) call(session, method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	b.mu.Lock()
	if b.pending == nil {
		b.mu.Unlock()
		b.t.Fatalf("%s: the browser has ended", method)
	}
	b.last++
	waiting := make(chan reply, 1)
	b.pending[b.last] = waiting
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r, ok := <-waiting:
		if !ok {
			b.t.Fatalf("%s: the browser ended", method)
		}
		if r.Error != nil {
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		return r.Result
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s: no answer from the browser", method)
	}
	return nil
}

// tab is one page.
type tab struct {
	*browser
	session string
}

// open loads a page with a window of the given size.
func (b *browser) open(url string, width, height int, media ...string) *tab {
	b.t.Helper()
	var target struct{ TargetID, SessionID string }
	b.unpack(b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}), &target)
	b.unpack(b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}), &target)
	t := &tab{b, target.SessionID}
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		t.call(t.session, domain+".enable", nil)
	}
	features := []map[string]string{}
	for _, m := range media {
		name, value, _ := strings.Cut(m, ":")
		features = append(features, map[string]string{"name": name, "value": value})
	}
	t.call(t.session, "Emulation.setEmulatedMedia", map[string]any{"features": features})
	t.call(t.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	t.call(t.session, "Page.navigate", map[string]any{"url": url})
	return t
}

func (b *browser) unpack(data json.RawMessage, into any) {
	b.t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		b.t.Fatalf("%s: %v", data, err)
	}
}

// eval returns an expression's value as a string.
func (t *tab) eval(expression string) string {
	t.t.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	t.unpack(t.call(t.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}), &out)
	if out.ExceptionDetails != nil {
		t.t.Fatalf("%s: %s", expression, out.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(out.Result.Value)
}

// until waits for an expression to become true.
func (t *tab) until(expression string) {
	t.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for t.eval("Boolean("+expression+")") != "true" {
		if time.Now().After(deadline) {
			t.screenshot("failed")
			t.t.Fatalf("not within 20s: %s\npage: %s", expression, t.eval("document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// press types a key where the focus is.
func (t *tab) press(key string, code int) {
	t.t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		t.call(t.session, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code})
	}
}

// screenshot keeps a picture when HITO_SCREENSHOTS names a folder for it.
func (t *tab) screenshot(name string) {
	t.t.Helper()
	dir := os.Getenv("HITO_SCREENSHOTS")
	if dir == "" {
		return
	}
	var out struct{ Data string }
	t.unpack(t.call(t.session, "Page.captureScreenshot", map[string]any{"format": "png"}), &out)
	picture, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
	}
	if err != nil {
		t.t.Fatal(err)
	}
}

// calm fails when the page had script errors, or was refused something.
func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.trouble {
		b.t.Errorf("the browser complains: %s", trouble)
	}
	b.trouble = nil
}
