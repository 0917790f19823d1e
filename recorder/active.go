package recorder

// Active reports whether a recording runs, or a part that continues it: any of the
// parts names it.
func (r *Recorder) Active(id string) bool { return r.job(id) != nil }
