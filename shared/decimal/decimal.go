// Package decimal is the number that metrics add up: 128-bit fixed point with
// nine decimal places. Adding is exact, so it commutes and associates, which
// floating point does not.
package decimal

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Places is the number of decimal places kept.
const Places = 9

const scale = 1_000_000_000

// Limit bounds the magnitude of a value that Parse and FromFloat accept. A sum
// of 10^11 values at the limit still fits.
const Limit = 1e18

// D is a number in units of 10^-9: Hi × 2^64 + Lo, two's complement. Its zero value is 0.
type D struct {
	Hi int64
	Lo uint64
}

// ErrRange says that a number is not finite or its magnitude exceeds Limit.
var ErrRange = errors.New("decimal: number out of range (its magnitude exceeds 1e18)")

// ErrSyntax says that a text is not a number.
var ErrSyntax = errors.New("decimal: not a number")

// FromInt returns n exactly.
func FromInt(n int64) D {
	neg := n < 0
	u := uint64(n)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, scale)
	d := D{int64(hi), lo}
	if neg {
		return d.Neg()
	}
	return d
}

// FromFloat returns f as its shortest decimal text reads, rounded half to even
// at the ninth place.
func FromFloat(f float64) (D, error) {
	if n := int64(f); float64(n) == f && math.Abs(f) < 1<<53 {
		return FromInt(n), nil
	}
	if math.IsNaN(f) || math.Abs(f) > Limit {
		return D{}, ErrRange
	}
	return Parse(strconv.FormatFloat(f, 'e', -1, 64))
}

// Parse reads a JSON number, rounding half to even at the ninth place.
func Parse(s string) (D, error) {
	if d, ok := parseShort(s); ok {
		return d, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(s, "xXpP_nNiI") {
		return D{}, ErrSyntax
	}
	if math.IsInf(f, 0) || math.Abs(f) > Limit {
		return D{}, ErrRange
	}
	if math.Abs(f) < 1e-10 { // keeps big.Rat from building a huge denominator
		return D{}, nil
	}
	if len(s) > 4096 {
		return D{}, ErrRange
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return D{}, ErrSyntax
	}
	r.Mul(r, new(big.Rat).SetInt64(scale))
	return fromBig(roundHalfEven(r)), nil
}

// parseShort reads plain numbers of up to 18 digits without allocating.
func parseShort(s string) (D, bool) {
	if len(s) == 0 || len(s) > 20 {
		return D{}, false
	}
	i, neg := 0, s[0] == '-'
	if neg {
		i++
	}
	var n int64
	places, digits := -1, 0
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
			digits++
			if places >= 0 {
				places++
			}
		case c == '.' && places < 0 && digits > 0:
			places = 0
		default:
			return D{}, false
		}
	}
	if digits == 0 || digits > 18 || places == 0 || places > Places {
		return D{}, false
	}
	if neg {
		n = -n
	}
	if places <= 0 {
		return FromInt(n), true
	}
	// n × 10^(9-places) fits 128 bits; multiply in two's complement.
	m := uint64(1)
	for range Places - places {
		m *= 10
	}
	u := uint64(n)
	if n < 0 {
		u = -u
	}
	hi, lo := bits.Mul64(u, m)
	d := D{int64(hi), lo}
	if n < 0 {
		d = d.Neg()
	}
	return d, true
}

func roundHalfEven(r *big.Rat) *big.Int {
	q, rem := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	twice := new(big.Int).Abs(rem)
	twice.Lsh(twice, 1)
	switch c := twice.Cmp(r.Denom()); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(int64(r.Sign())))
	}
	return q
}

func fromBig(n *big.Int) D {
	abs := new(big.Int).Abs(n)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	d := D{int64(new(big.Int).Rsh(abs, 64).Uint64()), lo}
	if n.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Add returns d + e, exactly.
func (d D) Add(e D) D {
	lo, carry := bits.Add64(d.Lo, e.Lo, 0)
	hi, _ := bits.Add64(uint64(d.Hi), uint64(e.Hi), carry)
	return D{int64(hi), lo}
}

// Neg returns -d.
func (d D) Neg() D {
	lo, borrow := bits.Sub64(0, d.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(d.Hi), borrow)
	return D{int64(hi), lo}
}

// Cmp returns -1, 0 or +1 as d is less than, equal to or greater than e.
func (d D) Cmp(e D) int {
	switch {
	case d.Hi < e.Hi, d.Hi == e.Hi && d.Lo < e.Lo:
		return -1
	case d == e:
		return 0
	}
	return 1
}

// Float returns the nearest float64 or one next to it, the same for the same d.
func (d D) Float() float64 {
	if d.Hi == 0 && d.Lo < 1<<53 {
		return float64(d.Lo) / scale
	}
	if d.Hi == -1 && d.Lo != 0 && -d.Lo < 1<<53 {
		return -float64(-d.Lo) / scale
	}
	neg := d.Hi < 0
	if neg {
		d = d.Neg()
	}
	f := (float64(uint64(d.Hi))*(1<<64) + float64(d.Lo)) / scale
	if neg {
		return -f
	}
	return f
}

// String returns the exact decimal text without trailing zeros.
func (d D) String() string {
	neg := d.Hi < 0
	if neg {
		d = d.Neg()
	}
	n := new(big.Int).Lsh(new(big.Int).SetUint64(uint64(d.Hi)), 64)
	n.Or(n, new(big.Int).SetUint64(d.Lo))
	s := n.String()
	if len(s) <= Places {
		s = strings.Repeat("0", Places+1-len(s)) + s
	}
	s = s[:len(s)-Places] + "." + s[len(s)-Places:]
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if neg {
		s = "-" + s
	}
	return s
}
