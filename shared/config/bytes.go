package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size in bytes that reads and prints as "512MiB".
type Bytes int64

var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a whole number with a unit: B, KB, MB, GB, TB or KiB,
// MiB, GiB, TiB; without one it counts bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<63-1)/u.bytes {
			break
		}
		*b = Bytes(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size: want a whole number with a unit, such as 512MiB", s)
}

// MarshalText prints the size in the largest binary unit that divides it.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Bytes) String() string {
	for i := 3; i >= 0 && b != 0; i-- {
		if int64(b)%units[i].bytes == 0 {
			return strconv.FormatInt(int64(b)/units[i].bytes, 10) + units[i].suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}
