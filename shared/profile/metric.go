package profile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/decimal"
)

const (
	// maxBuckets bounds a metric's time buckets; rules refuse finer windows.
	maxBuckets = 128
	// maxHashes is how many distinct values are told apart exactly.
	maxHashes = 32
	// sketchPrecision makes a sketch of 1,024 registers: a standard error of 3.2 %.
	sketchPrecision = 10
	// maxMetricText bounds a first or last value, bytes.
	maxMetricText = 256
)

// keep is how many buckets the metric's window spans.
func (m *Metric) keep() int {
	switch {
	case m.Bucket <= 0:
		return 1
	case m.Kind == Decayed:
		// Eight half-lives: what is older is worth less than 0.4 %.
		return clampBuckets(8*m.HalfLife, m.Bucket)
	}
	return clampBuckets(m.Window, m.Bucket)
}

func clampBuckets(span, width time.Duration) int {
	return int(min(max((span+width-1)/width, 1), maxBuckets))
}

// index is the bucket an event time falls into.
func (m *Metric) index(ms int64) int64 {
	if m.Bucket <= 0 {
		return 0
	}
	return floorDiv(ms, m.Bucket.Milliseconds())
}

func (s *State) addContribution(c *Contribution, at *Stamp) {
	m := c.Metric
	if m.Kind.Numeric() && !c.Value.IsNumber {
		return
	}
	state := s.metric(m.ID)
	if state == nil {
		state = &MetricState{Metric: m.ID, Kind: uint32(m.Kind), Keep: uint32(m.keep())}
		s.Metrics = append(s.Metrics, state)
		slices.SortFunc(s.Metrics, func(a, b *MetricState) int { return cmp.Compare(a.Metric, b.Metric) })
	}
	b := state.bucket(m.index(at.Time))
	if b == nil {
		return
	}
	var v Bucket
	v.Count = 1
	switch m.Kind {
	case Sum, Min, Max, Decayed:
		v.setNumber(c.Value.Number)
	case First, Last:
		v.Value, v.At = c.Value.scalar(), at
	case Distinct:
		v.Hashes = []uint64{c.Value.hash()}
	}
	b.merge(&v, m.Kind)
}

func (s *State) metric(id uint64) *MetricState {
	for _, m := range s.Metrics {
		if m.Metric == id {
			return m
		}
	}
	return nil
}

// bucket returns the bucket with the index, made if need be; nil when it is
// older than the span kept, which ends with the latest bucket.
func (s *MetricState) bucket(index int64) *Bucket {
	n := len(s.Buckets)
	if n > 0 && index <= s.Buckets[n-1].Index-int64(s.Keep) {
		return nil
	}
	i := n
	for i > 0 && s.Buckets[i-1].Index > index {
		i--
	}
	if i > 0 && s.Buckets[i-1].Index == index {
		return s.Buckets[i-1]
	}
	b := &Bucket{Index: index}
	s.Buckets = slices.Insert(s.Buckets, i, b)
	if i == n {
		old := 0
		for s.Buckets[old].Index <= index-int64(s.Keep) && old < n {
			old++
		}
		s.Buckets = slices.Delete(s.Buckets, 0, old)
	}
	return b
}

// merge joins two buckets of disjoint events.
func (b *Bucket) merge(o *Bucket, k Kind) {
	empty := b.Count == 0
	b.Count += o.Count
	switch k {
	case Sum, Decayed:
		b.setNumber(b.number().Add(o.number()))
	case Min, Max:
		c := o.number().Cmp(b.number())
		if empty || k == Min && c < 0 || k == Max && c > 0 {
			b.SumLo, b.SumHi = o.SumLo, o.SumHi
		}
	case First, Last:
		c := o.At.Compare(b.At)
		if empty || k == First && c < 0 || k == Last && c > 0 {
			b.Value, b.At = o.Value, o.At
		}
	case Distinct:
		b.mergeDistinct(o)
	}
}

// The low half is stored signed, so that small negative numbers stay small.

func (b *Bucket) number() decimal.D {
	lo := uint64(b.SumLo)
	return decimal.D{Hi: b.SumHi + b.SumLo>>63, Lo: lo}
}

func (b *Bucket) setNumber(d decimal.D) {
	b.SumLo = int64(d.Lo)
	b.SumHi = d.Hi - b.SumLo>>63
}

// mergeDistinct unites two sets of hashes. A set of more than maxHashes becomes
// a sketch: a function of the set, whatever its order.
func (b *Bucket) mergeDistinct(o *Bucket) {
	if b.Sketch == nil && o.Sketch == nil {
		for _, h := range o.Hashes {
			if i, found := slices.BinarySearch(b.Hashes, h); !found {
				b.Hashes = slices.Insert(b.Hashes, i, h)
			}
		}
		if len(b.Hashes) <= maxHashes {
			return
		}
	}
	sketch, err := hyperloglog.NewSketch(sketchPrecision, false)
	if err != nil {
		panic(err) // cannot be: the precision is valid
	}
	for _, x := range []*Bucket{b, o} {
		for _, h := range x.Hashes {
			sketch.InsertHash(h)
		}
		if x.Sketch == nil {
			continue
		}
		stored := new(hyperloglog.Sketch)
		if stored.UnmarshalBinary(x.Sketch) == nil {
			_ = sketch.Merge(stored) // one precision everywhere
		}
	}
	b.Hashes = nil
	if b.Sketch, err = sketch.MarshalBinary(); err != nil {
		panic(err) // cannot be: marshals its own registers
	}
}

func (b *Bucket) distinct() uint64 {
	if b.Sketch == nil {
		return uint64(len(b.Hashes))
	}
	sketch := new(hyperloglog.Sketch)
	if sketch.UnmarshalBinary(b.Sketch) != nil {
		return 0
	}
	return sketch.Estimate()
}

// scalar is the value as a JSON scalar.
func (v Value) scalar() []byte {
	if v.IsNumber {
		return []byte(v.Number.String())
	}
	b, err := json.Marshal(clip(v.Text, maxMetricText))
	if err != nil {
		panic(err) // cannot be: a string
	}
	return b
}

// hash spreads values for Distinct; a number and its text are two values.
func (v Value) hash() uint64 {
	if v.IsNumber {
		return bits.RotateLeft64(xxhash.Sum64String(v.Number.String()), 1)
	}
	return xxhash.Sum64String(v.Text)
}

// readScalar reads a JSON scalar back.
func readScalar(b []byte) Value {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if json.Unmarshal(b, &s) == nil {
			return Text(s)
		}
	}
	d, err := decimal.Parse(string(b))
	if err != nil {
		return Text(string(b))
	}
	return Number(d)
}

// window folds the buckets that cover the metric's window at now; nil without any.
func (s *MetricState) window(m *Metric, now time.Time) *Bucket {
	if s == nil {
		return nil
	}
	oldest := int64(math.MinInt64)
	if m.Window > 0 && m.Bucket > 0 {
		oldest = m.index(now.UnixMilli()) - int64(m.keep()) + 1
	}
	i := 0
	for i < len(s.Buckets) && s.Buckets[i].Index < oldest {
		i++
	}
	switch live := s.Buckets[i:]; len(live) {
	case 0:
		return nil
	case 1:
		return live[0]
	default:
		sum := live[0].CloneVT()
		for _, b := range live[1:] {
			sum.merge(b, m.Kind)
		}
		return sum
	}
}

// decayed sums the buckets, each halved once per half-life since its middle.
// The order is fixed, so equal states give equal numbers.
func (s *MetricState) decayed(m *Metric, now time.Time) float64 {
	if s == nil || m.HalfLife <= 0 {
		return 0
	}
	width, sum := m.Bucket.Milliseconds(), 0.0
	for _, b := range s.Buckets {
		age := max(0, now.UnixMilli()-b.Index*width-width/2)
		sum += b.number().Float() * math.Exp2(-float64(age)/float64(m.HalfLife.Milliseconds()))
	}
	return sum
}

// read returns the metric's value at now; ok is false for the minimum, maximum,
// first and last of nothing.
func (s *State) read(m *Metric, now time.Time) (Value, bool) {
	if m.Kind == Decayed {
		d, err := decimal.FromFloat(s.metric(m.ID).decayed(m, now))
		return Number(d), err == nil
	}
	b := s.metric(m.ID).window(m, now)
	if b == nil {
		return Number(decimal.D{}), m.Kind == Count || m.Kind == Sum || m.Kind == Distinct
	}
	switch m.Kind {
	case Count:
		return Number(decimal.FromInt(b.Count)), true
	case Distinct:
		return Number(decimal.FromInt(int64(b.distinct()))), true
	case First, Last:
		return readScalar(b.Value), true
	}
	return Number(b.number()), true
}

func (v Value) String() string {
	if v.IsNumber {
		return v.Number.String()
	}
	return strconv.Quote(v.Text)
}

// Numeric reports whether the kind takes numbers only.
func (k Kind) Numeric() bool { return k == Sum || k == Min || k == Max || k == Decayed }

func (k Kind) String() string {
	names := [...]string{"", "count", "sum", "min", "max", "first", "last", "distinct", "decayed"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", k)
}
