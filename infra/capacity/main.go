// Capacity does the arithmetic of docs/capacity-aws.md and docs/capacity-gcp.md:
// from what was measured and what the clouds charge to shards, instances, nodes
// and dollars per million events.
//
//	go run ./infra/capacity aws
//	go run ./infra/capacity gcp
//
// prints a page's tables. A test compares the pages with them.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	pages := map[string]func(io.Writer) error{"aws": writeAWS, "gcp": writeGCP}
	if len(os.Args) != 2 || pages[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: capacity aws|gcp")
		os.Exit(2)
	}
	if err := pages[os.Args[1]](os.Stdout); err != nil {
		log.Fatal(err)
	}
}
