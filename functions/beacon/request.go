package beacon

import (
	"hash/maphash"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// request is the memory one request works in, reused by later ones.
type request struct {
	wireBytes  int
	gzip       gzip.Reader
	batch      event.Batch
	project    *project.Project
	receivedAt int64

	keys     []byte         // the items' visitor keys, one after the other
	slots    []slot         // per item
	groups   []group        // per visitor key, in order of appearance
	order    []*event.Event // grouped, in order
	data     []byte         // the encoded records
	records  []stream.Record
	unfit    []quarantine.Entry
	repeated int
	byKey    table
	byID     table
	reply    []byte
	values   []telemetry.Value
}

// slot is what is known of an item beside the event.
type slot struct {
	from, to  int // of its visitor key in keys
	group     int
	duplicate bool
}

type group struct {
	key   string
	count int
	end   int // in order
}

func (h *Handler) request() *request {
	if rq, ok := h.requests.Get().(*request); ok {
		return rq
	}
	return new(request)
}

func (h *Handler) release(rq *request) {
	rq.batch.Reset()
	clear(rq.records)
	clear(rq.unfit)
	clear(rq.groups)
	rq.records, rq.unfit = rq.records[:0], rq.unfit[:0]
	rq.project, rq.wireBytes, rq.repeated = nil, 0, 0
	if cap(rq.data) > 256<<10 || len(rq.slots) > 512 {
		return // what a big request took is not kept for small ones
	}
	h.requests.Put(rq)
}

// sort groups the good events by visitor key, keeping their order, into one
// record per key; finds repeated ones; and makes quarantine entries of the rest.
// A repeated event goes along: what scores it counts it as a duplicate, and the
// books balance. receipt is the identity of the acceptance.
func (rq *request) sort(origin string, receipt uint32) error {
	items := rq.batch.Items
	rq.keys, rq.slots, rq.groups = rq.keys[:0], rq.slots[:0], rq.groups[:0]
	good := 0
	for i := range items {
		e := items[i].Event
		s := slot{from: len(rq.keys)}
		if items[i].Reason != "" {
			rq.quarantine(&items[i])
		} else {
			good++
			rq.keys = e.AppendVisitorKey(rq.keys)
		}
		s.to = len(rq.keys)
		rq.slots = append(rq.slots, s)
	}
	if good == 0 {
		return nil
	}
	keys := string(rq.keys) // records may outlive the request's memory
	rq.byKey.reset(good)
	rq.byID.reset(good)
	for i := range items {
		s := &rq.slots[i]
		if items[i].Reason != "" {
			continue
		}
		key, id := keys[s.from:s.to], items[i].Event.MessageId
		s.group = rq.byKey.find(hash(key, 0), len(rq.groups), func(g int) bool { return rq.groups[g].key == key })
		if s.group == len(rq.groups) {
			rq.groups = append(rq.groups, group{key: key})
		}
		rq.groups[s.group].count++
		first := rq.byID.find(hash(id, s.group), i, func(j int) bool {
			return rq.slots[j].group == s.group && items[j].Event.MessageId == id
		})
		if s.duplicate = first != i; s.duplicate {
			rq.repeated++
		}
	}
	end := 0
	for g := range rq.groups {
		rq.groups[g].end = end
		end += rq.groups[g].count
	}
	rq.order = slices.Grow(rq.order[:0], good)[:good]
	for i := range items {
		if items[i].Reason == "" {
			g := &rq.groups[rq.slots[i].group]
			rq.order[g.end] = items[i].Event
			g.end++
		}
	}
	return rq.encode(origin, receipt)
}

func (rq *request) encode(origin string, receipt uint32) error {
	rq.data = rq.data[:0]
	var record event.Record
	for _, g := range rq.groups {
		record.Project, record.Key = rq.project.Name, g.key
		record.ReceivedAt, record.Origin, record.Receipt = rq.receivedAt, origin, receipt
		record.Events = rq.order[g.end-g.count : g.end]
		from := len(rq.data)
		var err error
		if rq.data, err = event.Append(rq.data, &record); err != nil {
			return err
		}
		rq.records = append(rq.records, stream.Record{
			Project: rq.project.Name,
			Key:     g.key,
			Events:  g.count,
			Time:    rq.receivedAt,
			Data:    rq.data[from:len(rq.data):len(rq.data)],
		})
	}
	clear(rq.order)
	return nil
}

func (rq *request) quarantine(it *event.Item) {
	entry := quarantine.Entry{
		Project: rq.project.Name,
		Stage:   quarantine.Beacon,
		Reason:  string(it.Reason),
		Detail:  it.Detail,
		Time:    rq.receivedAt,
		Events:  1,
		Body:    it.Body(),
	}
	entry.ID = quarantine.NewID(entry, it.Event.MessageId)
	rq.unfit = append(rq.unfit, entry)
}

var seed = maphash.MakeSeed()

func hash(s string, salt int) uint64 {
	return maphash.String(seed, s) ^ uint64(salt)*0x9e3779b97f4a7c15
}

// table is a hash table of small numbers that keeps its memory.
type table struct {
	cells []int32 // 1 + number, 0 when free
}

func (t *table) reset(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	t.cells = slices.Grow(t.cells[:0], size)[:size]
	clear(t.cells)
}

// find returns the number in the table that is equal, or puts n there and
// returns it.
func (t *table) find(hash uint64, n int, equal func(int) bool) int {
	mask := uint64(len(t.cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if t.cells[i] == 0 {
			t.cells[i] = int32(n + 1)
			return n
		}
		if m := int(t.cells[i] - 1); equal(m) {
			return m
		}
	}
}
