package mpegts

type monitor struct{}

func (m *monitor) pcr(st *pid, packet uint64, pcr int64, discontinuity bool) {}
func (m *monitor) section(p *pid, b []byte)                                  {}
func (m *monitor) frame(s *Stream, t Times)                                  {}
