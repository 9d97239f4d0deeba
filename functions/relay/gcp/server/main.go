// Relay on Google Cloud as a program of its own, for a container.
package main

import (
	_ "github.com/hitolayer/hito/functions/relay/gcp"
	"github.com/hitolayer/hito/infra/gcp/function"
)

func main() { function.Main() }
