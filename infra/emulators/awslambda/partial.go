package awslambda

import (
	"bytes"
	"encoding/json"
	"math/big"
)

// itemFailures reads a partial batch response. It returns the identifiers that
// the function reports as failed, none when all is done. ok is false for an
// answer that Lambda takes as the failure of the whole batch: no JSON object,
// or an identifier that is missing, null, empty or under another name. Names
// are case-sensitive
// (docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html,
// .../services-sqs-errorhandling.html).
func itemFailures(answer []byte) (ids []string, ok bool) {
	if answer = bytes.TrimSpace(answer); len(answer) == 0 || string(answer) == "null" || string(answer) == `""` {
		return nil, true
	}
	var response map[string]json.RawMessage
	if json.Unmarshal(answer, &response) != nil {
		return nil, false
	}
	list := response["batchItemFailures"]
	if len(list) == 0 {
		return nil, true
	}
	var failures []map[string]json.RawMessage
	if json.Unmarshal(list, &failures) != nil {
		return nil, false
	}
	for _, f := range failures {
		var id string
		if json.Unmarshal(f["itemIdentifier"], &id) != nil || id == "" {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// compareSequences compares sequence numbers of a stream: decimals of up to
// 186 bits. One that is no number comes before all others.
func compareSequences(a, b string) int {
	x, y := sequence(a), sequence(b)
	return x.Cmp(y)
}

func sequence(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return big.NewInt(-1)
	}
	return n
}
