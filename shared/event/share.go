package event

import "slices"

// share gives every event what the batch says for all of them, where it says
// nothing of its own, and takes the addresses and the user's traits out of the
// contexts.
func (b *Batch) share() error {
	sh := &b.shared
	if len(sh.context)+len(sh.integrations) > 0 {
		if (len(sh.context)+len(sh.integrations))*len(b.Items) > 4*MaxBatchSize {
			return &Error{TooLarge, "the batch's context, copied into every event, makes it too large"}
		}
		if err := sh.split(); err != nil {
			return err
		}
	}
	if sh.hasIP && len(sh.context) > 0 {
		sh.context = b.rewrite(sh.context, nil, false)
	}
	sh.bare = sh.context
	if sh.traits != nil {
		sh.bare = b.rewrite(sh.context, nil, true)
	}
	for i := range b.Items {
		it := &b.Items[i]
		e := it.Event
		if sh.deep {
			it.refuse(TooDeep, "the batch's context or integrations are nested deeper than 64 levels")
		}
		if e.SentAt == 0 {
			e.SentAt = sh.sentAt
		}
		if e.Integrations == nil {
			e.Integrations = sh.integrations
		}
		if e.Ip == "" {
			e.Ip = sh.ip
		}
		if e.UserAgent == "" {
			e.UserAgent = sh.agent
		}
		it.server = it.server || sh.server
		if !it.hasTraits {
			it.traits = sh.traits
		}
		group := e.Type == Type_TYPE_GROUP // whose traits are the group's
		if group {
			it.traits = nil
		}
		switch {
		case e.Context == nil && group:
			e.Context = sh.context
		case e.Context == nil:
			e.Context = sh.bare
		case it.hasIP || it.traits != nil || len(sh.members) > 0:
			e.Context = b.rewrite(e.Context, sh.members, it.traits != nil)
		}
		if it.traits != nil {
			e.Traits = b.merge(e.Traits, it.traits)
		}
	}
	return nil
}

// merge returns own with the members of more that it lacks. Both are objects
// with members, or own is nil.
func (b *Batch) merge(own, more []byte) []byte {
	if own == nil {
		return more
	}
	keys := map[string]bool{}
	s := scanner{b: own}
	for ok := s.begin('}'); ok; ok = s.next('}') {
		keys[text(s.key())] = true
		s.value()
	}
	start := len(b.scratch)
	out := append(b.scratch, own[:len(own)-1]...)
	s = scanner{b: more}
	for ok := s.begin('}'); ok; ok = s.next('}') {
		from := s.i
		key := s.key()
		s.value()
		if !keys[string(key)] {
			out = append(append(out, ','), s.b[from:s.i]...)
		}
	}
	b.scratch = append(out, '}')
	return b.scratch[start:len(b.scratch):len(b.scratch)]
}

// split takes the batch's context apart.
func (sh *shared) split() error {
	if len(sh.context) == 0 {
		return nil
	}
	s := scanner{b: sh.context}
	for ok := s.begin('}'); ok; ok = s.next('}') {
		from := s.i
		key := s.key()
		s.value()
		if string(key) == "ip" {
			continue
		}
		if len(sh.members) == maxSharedMembers {
			return &Error{BadShape, "the batch's context has more than 256 members"}
		}
		sh.members = slices.DeleteFunc(sh.members, func(m member) bool { return m.key == string(key) })
		sh.members = append(sh.members, member{string(key), s.b[from:s.i]})
	}
	return nil
}

// rewrite returns the context without its ip, if so without its traits, and with
// the members it lacks.
func (b *Batch) rewrite(context []byte, members []member, noTraits bool) []byte {
	var seen [maxSharedMembers]bool
	start := len(b.scratch)
	out := append(b.scratch, '{')
	s := scanner{b: context}
	for ok := s.begin('}'); ok; ok = s.next('}') {
		from := s.i
		key := s.key()
		s.value()
		if string(key) == "ip" || noTraits && string(key) == "traits" {
			continue
		}
		for i := range members {
			if members[i].key == string(key) {
				seen[i] = true
			}
		}
		out = append(append(out, s.b[from:s.i]...), ',')
	}
	for i := range members {
		if !seen[i] && !(noTraits && members[i].key == "traits") {
			out = append(append(out, members[i].pair...), ',')
		}
	}
	if out[len(out)-1] == ',' {
		out[len(out)-1] = '}'
	} else {
		out = append(out, '}')
	}
	b.scratch = out
	return object(out[start:len(out):len(out)])
}

// serverLibraries are SDKs that send for visitors from somewhere else. Segment
// takes no address from their requests either.
var serverLibraries = [...]string{
	"@segment/analytics-node", "analytics-node", "@rudderstack/rudder-sdk-node", "rudder-sdk-node",
	"analytics-python", "segment-analytics-python", "analytics-ruby", "analytics-go", "analytics-php",
	"analytics-java", "Analytics.NET", "rudder-analytics-python", "rudder-analytics-ruby", "rudder-go", "analytics-rust",
}

// serverLibrary reports whether context.library, which is v, is one of them.
func serverLibrary(v []byte) bool {
	if v[0] != '{' {
		return false
	}
	s := scanner{b: v}
	for ok := s.begin('}'); ok; ok = s.next('}') {
		key := s.key()
		name := s.value()
		if string(key) == "name" && name[0] == '"' {
			return slices.Contains(serverLibraries[:], text(stringBytes(name)))
		}
	}
	return false
}
