package lambda

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"
)

// record is one member of an event's Records: a Kinesis record, or an SQS
// message. Its fields share the event's memory.
type record struct {
	// eventID is "<shard>:<sequence number>", stream the stream's ARN, of a Kinesis record.
	eventID  []byte
	stream   []byte
	sequence []byte
	data     []byte // base64
	arrived  []byte // Unix seconds
	// messageID is set of an SQS message.
	messageID []byte
	body      []byte
	receives  []byte // how often it was received, about
}

// readRecords appends the Records of a Kinesis or SQS event.
//
// https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
func readRecords(into []record, payload []byte) ([]record, error) {
	s := scanner{data: payload}
	for more := s.open('{'); more; more = s.more('{') {
		if string(s.name()) != "Records" {
			s.skip()
			continue
		}
		for more := s.open('['); more; more = s.more('[') {
			into = append(into, record{})
			s.record(&into[len(into)-1])
		}
	}
	return into, s.err
}

func (s *scanner) record(r *record) {
	for more := s.open('{'); more; more = s.more('{') {
		switch string(s.name()) {
		case "kinesis":
			s.kinesis(r)
		case "eventID":
			r.eventID = s.text()
		case "eventSourceARN":
			r.stream = s.text()
		case "messageId":
			r.messageID = s.text()
		case "body":
			r.body = s.text()
		case "attributes":
			for more := s.open('{'); more; more = s.more('{') {
				if string(s.name()) == "ApproximateReceiveCount" {
					r.receives = s.text()
				} else {
					s.skip()
				}
			}
		default:
			s.skip()
		}
	}
}

func (s *scanner) kinesis(r *record) {
	for more := s.open('{'); more; more = s.more('{') {
		switch string(s.name()) {
		case "sequenceNumber":
			r.sequence = s.text()
		case "data":
			r.data = s.text()
		case "approximateArrivalTimestamp":
			r.arrived = s.number()
		default:
			s.skip()
		}
	}
}

// shard returns the shard that a Kinesis record came from.
func (r *record) shard() []byte {
	shard, _, _ := bytes.Cut(r.eventID, []byte{':'})
	return shard
}

// deliveries returns how often the message was received, at least 1.
func (r *record) deliveries() int {
	n, _ := strconv.Atoi(string(r.receives))
	return max(1, n)
}

// discarded is what Lambda tells a Kinesis mapping's on-failure destination of a
// batch that it gave up.
//
// https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
type discarded struct {
	stream, shard, first, last string
	size                       int // records; 0 when it does not say
	attempts                   int // about
	condition                  string
}

var errNotDiscarded = errors.New("not what an event source mapping sends of a discarded Kinesis batch")

func readDiscarded(body []byte) (d discarded, err error) {
	s := scanner{data: body}
	for more := s.open('{'); more; more = s.more('{') {
		switch string(s.name()) {
		case "requestContext":
			for more := s.open('{'); more; more = s.more('{') {
				switch string(s.name()) {
				case "condition":
					d.condition = string(s.text())
				case "approximateInvokeCount":
					d.attempts, _ = strconv.Atoi(string(s.number()))
				default:
					s.skip()
				}
			}
		case "KinesisBatchInfo":
			for more := s.open('{'); more; more = s.more('{') {
				switch string(s.name()) {
				case "shardId":
					d.shard = string(s.text())
				case "startSequenceNumber":
					d.first = string(s.text())
				case "endSequenceNumber":
					d.last = string(s.text())
				case "streamArn":
					d.stream = string(s.text())
				case "batchSize":
					d.size, _ = strconv.Atoi(string(s.number()))
				default:
					s.skip()
				}
			}
		default:
			s.skip()
		}
	}
	if s.err != nil {
		return d, s.err
	}
	if d.stream == "" || d.shard == "" || !isNumber(d.first) || !isNumber(d.last) {
		return d, errNotDiscarded
	}
	return d, nil
}

func isNumber[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}

// compare orders sequence numbers, which are decimal and of any size.
func compare(a, b []byte) int {
	a, b = bytes.TrimLeft(a, "0"), bytes.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// appendFailures appends a partial batch response that names the items.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
func appendFailures(into []byte, items ...[]byte) []byte {
	into = slices.Grow(into, len(items)*64+32)
	into = append(into, `{"batchItemFailures":[`...)
	for i, item := range items {
		if i > 0 {
			into = append(into, ',')
		}
		into = append(into, `{"itemIdentifier":`...)
		into = appendString(into, item)
		into = append(into, '}')
	}
	return append(into, ']', '}')
}

// appendString appends s as a JSON string, with U+FFFD for what is not UTF-8.
func appendString[T string | []byte](into []byte, s T) []byte {
	const digits = "0123456789abcdef"
	into = append(into, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < 0x80 {
			i++
			continue
		}
		size := 1
		if c >= 0x80 {
			if size = runeLen(s[i:]); size > 0 {
				i += size
				continue
			}
			size = 1
		}
		into = append(into, s[from:i]...)
		switch c {
		case '"', '\\':
			into = append(into, '\\', c)
		case '\n':
			into = append(into, '\\', 'n')
		case '\r':
			into = append(into, '\\', 'r')
		case '\t':
			into = append(into, '\\', 't')
		default:
			if c >= 0x80 {
				into = append(into, `\ufffd`...)
			} else {
				into = append(into, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			}
		}
		i += size
		from = i
	}
	into = append(into, s[from:]...)
	return append(into, '"')
}

// runeLen returns how many bytes the rune that s begins with takes; 0 when it is not UTF-8.
func runeLen[T string | []byte](s T) int {
	r, size := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if r == utf8.RuneError && size <= 1 {
		return 0
	}
	return size
}
