package awslambda

import (
	"slices"
	"strings"
	"testing"
)

func TestItemFailures(t *testing.T) {
	for _, test := range []struct {
		answer string
		ids    []string
		ok     bool
	}{
		{``, nil, true},
		{` null `, nil, true},
		{`""`, nil, true},
		{`{}`, nil, true},
		{`{"batchItemFailures":null}`, nil, true},
		{`{"batchItemFailures":[]}`, nil, true},
		{`{"other":1}`, nil, true},
		{`{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"3"}]}`, []string{"7", "3"}, true},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, nil, false},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, nil, false},
		{`{"batchItemFailures":[{"itemIdentifier":7}]}`, nil, false},
		{`{"batchItemFailures":[{"ItemIdentifier":"7"}]}`, nil, false},
		{`{"batchItemFailures":[{}]}`, nil, false},
		{`{"batchItemFailures":["7"]}`, nil, false},
		{`{"batchItemFailures":{"itemIdentifier":"7"}}`, nil, false},
		{`"done"`, nil, false},
		{`[]`, nil, false},
		{`{`, nil, false},
	} {
		ids, ok := itemFailures([]byte(test.answer))
		if !slices.Equal(ids, test.ids) || ok != test.ok {
			t.Errorf("%s gives %q, %t; want %q, %t", test.answer, ids, ok, test.ids, test.ok)
		}
	}
}

func TestCompareSequences(t *testing.T) {
	long := strings.Repeat("9", 55)
	for _, pair := range [][2]string{{"9", "10"}, {long, "1" + strings.Repeat("0", 55)}, {"", "0"}, {"x", "0"}} {
		if compareSequences(pair[0], pair[1]) >= 0 || compareSequences(pair[1], pair[0]) <= 0 || compareSequences(pair[0], pair[0]) != 0 {
			t.Errorf("%s is not before %s", pair[0], pair[1])
		}
	}
}

// FuzzItemFailures: never an identifier that is empty, and none with a complete failure.
func FuzzItemFailures(f *testing.F) {
	f.Add([]byte(`{"batchItemFailures":[{"itemIdentifier":"7"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		ids, ok := itemFailures(answer)
		if slices.Contains(ids, "") || !ok && ids != nil {
			t.Errorf("%q gives %q, %t", answer, ids, ok)
		}
	})
}
