// Package acceptance runs what is deployed: the packaged functions, as Terraform
// configures them, over the services' real protocols, against the end-to-end
// tests that the one process passes too. It has tests only, behind the build tag
// acceptance: see make acceptance-aws.
package acceptance
