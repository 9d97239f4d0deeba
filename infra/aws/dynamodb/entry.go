package dynamodb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hitolayer/hito/shared/quarantine"
)

// encodeEntry returns an entry's stored form: the number of its texts and each
// with its length, the time and the number of events, and the body.
func encodeEntry(e *quarantine.Entry) []byte {
	texts := []string{e.ID, e.Project, string(e.Stage), e.Reason, e.Detail}
	buf := appendNames(texts...)
	buf = slices.Concat(binary.AppendUvarint(nil, uint64(len(texts))), buf)
	buf = binary.AppendVarint(binary.AppendVarint(buf, e.Time), int64(e.Events))
	return append(buf, e.Body...)
}

var errEntry = errors.New("dynamodb: not an entry of the quarantine")

// decodeEntry is encodeEntry's inverse. Texts that a newer build added are passed over.
func decodeEntry(b []byte) (e quarantine.Entry, err error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count < 5 || count > uint64(len(b)) {
		return e, errEntry
	}
	b = b[n:]
	var texts []string
	for range count {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return e, errEntry
		}
		texts, b = append(texts, string(b[n:n+int(size)])), b[n+int(size):]
	}
	e.ID, e.Project, e.Stage, e.Reason, e.Detail = texts[0], texts[1], quarantine.Stage(texts[2]), texts[3], texts[4]
	if e.Time, n = binary.Varint(b); n <= 0 {
		return e, errEntry
	}
	b = b[n:]
	events, n := binary.Varint(b)
	if n <= 0 {
		return e, errEntry
	}
	e.Events = int(events)
	if b = b[n:]; len(b) > 0 {
		e.Body = b
	}
	return e, nil
}

// queueKey returns the index's hash key of a project's entries in a slot.
func queueKey(project string, slot int) string {
	pk, _ := key("q", project, fmt.Sprintf("%02d", slot))
	return strings.TrimPrefix(pk, "q/")
}

// maxOrder is how long a range key may be, in bytes.
const maxOrder = 1024

// orderKey returns the index's range key of an entry: the newest comes first,
// then the smallest id.
func orderKey(unixMilli int64, id string) string {
	at := fmt.Sprintf("%016x/", ^(uint64(unixMilli) ^ 1<<63))
	if escaped := appendEscaped(nil, id); len(escaped) <= maxOrder-len(at) {
		return at + string(escaped)
	}
	sum := sha256.Sum256([]byte(id))
	return at + string(mark) + hex.EncodeToString(sum[:])
}
