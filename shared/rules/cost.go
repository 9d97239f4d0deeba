package rules

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// costs says what a call cost. CEL's own estimates go by a call's overload,
// which is not known where the type of an argument is not; nor do they know
// our functions. Every call costs 1, and 1 for each unit it went through of
// texts and, where it compares, of lists and maps.
type costs struct{}

// textUnit is how many bytes of text cost 1.
const textUnit = 10

// CallCost implements CEL's cost.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	n := uint64(1)
	switch function {
	case operators.Equals, operators.NotEquals:
		if len(args) == 2 && args[0].Type() == args[1].Type() {
			n += min(weight(args[0]), weight(args[1]))
		}
	case operators.In:
		for _, v := range args {
			n += weight(v)
		}
	case "matches":
		// RE2 takes a step per byte and state; programs have at most maxRegex.
		cost := uint64(1)
		for _, v := range args {
			cost *= 1 + textCost(v)
		}
		n += cost
	case "size":
		if m, ok := args[0].(*lazyMap); ok { // counting its keys reads it
			n += listCost(m)
		}
		n += textCost(args[0])
	default:
		for _, v := range args {
			n += textCost(v)
		}
	}
	return &n
}

// textCost is what going through a text costs, 0 for anything else.
func textCost(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / textUnit
	case types.Bytes:
		return uint64(len(v)) / textUnit
	}
	return 0
}

// weight is what going through all of a value costs. Beyond the limit it stops counting.
func weight(v ref.Val) uint64 {
	if m, ok := v.(*lazyMap); ok {
		v = m.full() // finds keys without going through them
	}
	switch v := v.(type) {
	case traits.Lister:
		var n uint64
		for it := v.Iterator(); n <= CostLimit && it.HasNext() == types.True; {
			n += 1 + weight(it.Next())
		}
		return n
	case traits.Mapper:
		var n uint64
		for it := v.Iterator(); n <= CostLimit && it.HasNext() == types.True; {
			key := it.Next()
			n += 1 + textCost(key) + weight(v.Get(key))
		}
		return n
	}
	return textCost(v)
}

func listCost(v traits.Sizer) uint64 {
	n, _ := v.Size().(types.Int)
	return uint64(max(n, 0))
}
