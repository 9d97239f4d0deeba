package decimal

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "1": "1", "12.5": "12.5", "-12.50": "-12.5", "0.1": "0.1", "0.000000001": "0.000000001",
		"0.0000000005": "0", "0.0000000015": "0.000000002", "-0.0000000015": "-0.000000002", "0.0000000025": "0.000000002",
		"1e3": "1000", "1E-2": "0.01", "1.5e+2": "150", "1e18": "1000000000000000000", "-1e18": "-1000000000000000000",
		"123456789012345678": "123456789012345678", "999999999999999999.999999999": "999999999999999999.999999999",
		"1e-400": "0", "18446744073.709551616": "18446744073.709551616",
	} {
		d, err := Parse(in)
		if err != nil || d.String() != want {
			t.Errorf("Parse(%s) = %s, %v; want %s", in, d, err, want)
		}
	}
	for in, want := range map[string]error{
		"": ErrSyntax, "-": ErrSyntax, "abc": ErrSyntax, "1.2.3": ErrSyntax, "0x10": ErrSyntax, "1_000": ErrSyntax,
		"NaN": ErrSyntax, "Inf": ErrSyntax, "1e19": ErrRange, "-1e400": ErrRange, "1e18446744073": ErrRange,
	} {
		if d, err := Parse(in); !errors.Is(err, want) {
			t.Errorf("Parse(%s) = %s, %v; want %v", in, d, err, want)
		}
	}
}

func exact(d D) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo))
}

func draw(t *rapid.T, label string) D {
	return D{rapid.Int64Range(math.MinInt64/4, math.MaxInt64/4).Draw(t, label+"hi"), rapid.Uint64().Draw(t, label+"lo")}
}

func TestArithmeticIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if got, want := exact(a.Add(b)), new(big.Int).Add(exact(a), exact(b)); got.Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v, want %v", a, b, got, want)
		}
		if a.Add(b) != b.Add(a) || a.Add(b).Add(a.Neg()) != b {
			t.Fatalf("%v and %v do not add up", a, b)
		}
		if a.Cmp(b) != exact(a).Cmp(exact(b)) {
			t.Fatalf("Cmp(%v, %v) = %d", a, b, a.Cmp(b))
		}
		f, _ := new(big.Rat).SetFrac(exact(a), big.NewInt(scale)).Float64()
		if got := a.Float(); math.Abs(got-f) > math.Abs(f)*1e-15 {
			t.Fatalf("%v.Float() = %v, want %v", a, got, f)
		}
	})
}

// TestFloatOfNegativeHighHalf: -2^64 units once read as -0.
func TestFloatOfNegativeHighHalf(t *testing.T) {
	if f := (D{Hi: -1}).Float(); f != -18446744073.709551616 {
		t.Fatalf("%v", f)
	}
}

func TestTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := FromInt(rapid.Int64Range(-1e18+1, 1e18-1).Draw(t, "whole")).Add(D{0, rapid.Uint64Range(0, scale-1).Draw(t, "nano")})
		if b, err := Parse(a.String()); err != nil || a != b {
			t.Fatalf("Parse(%s) = %s, %v", a, b, err)
		}
	})
}

func TestFromFloatReadsTheShortestText(t *testing.T) {
	for f, want := range map[float64]string{0.1: "0.1", 1e-9: "0.000000001", 2.5: "2.5", -7: "-7", 1e17: "100000000000000000"} {
		if d, err := FromFloat(f); err != nil || d.String() != want {
			t.Errorf("FromFloat(%v) = %s, %v", f, d, err)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), 1e19} {
		if _, err := FromFloat(f); !errors.Is(err, ErrRange) {
			t.Errorf("FromFloat(%v): %v", f, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "-0.5", "1e18", "1e-400", "9.999999999999999999999", "0x1p-2", "1e99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(d.String()); err != nil || again != d {
			t.Fatalf("%q: %s, again %s, %v", s, d, again, err)
		}
	})
}
