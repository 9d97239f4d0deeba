package profile

import (
	"cmp"
	"slices"
)

// Merge folds o into s, where the two are folds over disjoint sets of events:
// two replicas' shares of one fragment, or the fragments of one person. What no
// reader observes (dedupe window, places, memberships, outbox) is left alone. Neither
// shares memory with the other afterwards that either writes to.
func (s *State) Merge(o *State) {
	s.ErasedAt = max(s.ErasedAt, o.ErasedAt)
	if o.ReceivedUntil > s.ReceivedUntil {
		s.ReceivedUntil, s.Away = o.ReceivedUntil, o.Away
	}
	if o.Events > 0 {
		if s.Events == 0 || o.FirstSeen < s.FirstSeen {
			s.FirstSeen = o.FirstSeen
		}
		s.LastSeen = max(s.LastSeen, o.LastSeen)
	}
	s.Events += o.Events
	for _, n := range o.Names {
		s.addName(n.Name, n.Count)
	}
	for _, t := range o.Traits {
		s.addTrait([]byte(t.Key), t.Value, t.At)
	}
	for _, m := range o.Metrics {
		s.mergeMetric(m)
	}
	for _, slot := range o.Slots {
		s.mergeSlot(slot.CloneVT())
	}
	for _, r := range o.Recent {
		s.mergeRecent(r)
	}
	if o.Agent.GetAt().Compare(s.Agent.GetAt()) > 0 {
		s.Agent = o.Agent
	}
	if o.Geo.GetAt().Compare(s.Geo.GetAt()) > 0 {
		s.Geo = o.Geo
	}
	if o.Group.GetAt().Compare(s.Group.GetAt()) > 0 {
		s.Group = o.Group
	}
	if t := o.FirstTouch; t != nil && (s.FirstTouch == nil || t.At.Compare(s.FirstTouch.At) < 0) {
		s.FirstTouch = t
	}
	if t := o.LastTouch; t != nil && t.At.Compare(s.LastTouch.GetAt()) > 0 {
		s.LastTouch = t
	}
}

func (s *State) mergeMetric(o *MetricState) {
	m := s.metric(o.Metric)
	if m == nil {
		i, _ := slices.BinarySearchFunc(s.Metrics, o.Metric, func(m *MetricState, id uint64) int { return cmp.Compare(m.Metric, id) })
		s.Metrics = slices.Insert(s.Metrics, i, o.CloneVT())
		return
	}
	for _, b := range o.Buckets {
		if own := m.bucket(b.Index); own != nil {
			own.merge(b, Kind(m.Kind))
		}
	}
}

// MergeClaims folds in the claims of another replica of the same fragment.
func (f *Fragment) MergeClaims(o *Fragment) {
	for _, c := range o.State.Claims {
		if _, user := f.Key.User(); user {
			f.State.addClaim(c.Id, c.First, c.Last)
		} else {
			f.Claim(c.Id, c.First, c.ReceivedAt)
		}
	}
}
