package fault

import (
	"encoding/json"
	"sync"
)

// streamOf remembers which stream a shard iterator is of, since GetRecords names
// only the iterator.
type streamOf struct{ m *sync.Map }

func (s streamOf) get(iterator string) string {
	stream, _ := s.m.Load(iterator)
	name, _ := stream.(string)
	return name
}

// learn takes the iterators out of an answer.
func (s streamOf) learn(c *request, answer []byte) {
	if c.Service != "kinesis" || len(c.Resources) == 0 || (c.Action != "GetShardIterator" && c.Action != "GetRecords") {
		return
	}
	var iterators struct{ ShardIterator, NextShardIterator string }
	if json.Unmarshal(answer, &iterators) != nil {
		return
	}
	for _, iterator := range []string{iterators.ShardIterator, iterators.NextShardIterator} {
		if iterator != "" {
			s.m.Store(iterator, c.Resources[0])
		}
	}
}
