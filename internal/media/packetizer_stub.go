package media

// Packetizer turns frames into packets.
type Packetizer struct{}

// NewPacketizer returns a packetizer for a format.
func NewPacketizer(Format) (*Packetizer, error) { return nil, nil }

// Push returns the packets of one frame.
func (z *Packetizer) Push(*Frame) []*Packet { return nil }

// Depacketizer turns packets into frames.
type Depacketizer struct{}

// NewDepacketizer returns a depacketizer for a format.
func NewDepacketizer(Format) (*Depacketizer, error) { return nil, nil }

// Push returns the frames that a packet completes.
func (d *Depacketizer) Push(*Packet) []*Frame { return nil }
