// Package deptest holds the repository's rules as tests: which way imports
// point, and what each binary may link.
package deptest
