// Command function is the function that the tests of package gcpfunctions deploy.
// What a request's body or path says, it does.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("test", serve) }

// now and most count the requests that this process has at once.
var now, most atomic.Int64

func serve(w http.ResponseWriter, r *http.Request) {
	n := now.Add(1)
	defer now.Add(-1)
	for {
		if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
			break
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/wait":
		fmt.Println("waiting")
		time.Sleep(100 * time.Millisecond)
	case "/hang":
		fmt.Println("hanging")
		<-r.Context().Done()
		fmt.Println("let go")
		return
	case "/exit":
		os.Exit(3)
	case "/panic":
		panic("as told")
	case "/part":
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "part")
		_ = http.NewResponseController(w).Flush()
		os.Exit(3)
	case "/status":
		var status int
		if _, err := fmt.Sscan(string(body), &status); err != nil {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "path": r.URL.String(), "host": r.Host, "header": r.Header, "body": string(body), "env": os.Environ(), "pid": os.Getpid(), "most": most.Load(),
	})
}

func main() {
	switch os.Getenv("START") {
	case "exit":
		fmt.Println("as told")
		os.Exit(4)
	case "hang":
		time.Sleep(time.Hour)
	}
	host := ""
	if os.Getenv("LOCAL_ONLY") == "true" {
		host = "127.0.0.1"
	}
	if err := funcframework.StartHostPort(host, os.Getenv("PORT")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
