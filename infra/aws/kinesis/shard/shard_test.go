package shard

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestCompareIsThatOfNumbers(t *testing.T) {
	number := rapid.StringMatching(`0{0,3}[0-9]{1,56}`)
	rapid.Check(t, func(t *rapid.T) {
		a := number.Draw(t, "a")
		b := rapid.OneOf(number, rapid.Just(a), rapid.Just("0"+a), rapid.Just(a+"0")).Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		got := Compare(a, b)
		if want := x.Cmp(y); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Errorf("%s and %s compare as %d, want %d", a, b, got, want)
		}
	})
}
