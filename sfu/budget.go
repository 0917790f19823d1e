package sfu

// Shares of the retransmission budget: what is sent again stays below a seventh of
// the media sent, after a first allowance: enough for a line that loses a tenth. It
// is bounded so that a line that loses because it is full is not filled further.
const (
	budgetShare = 7
	budgetStart = 32 << 10
	budgetMost  = 64 << 10
)

// budget is how many bytes may be sent again. Its owner makes it with newBudget.
type budget struct{ bytes int }

func newBudget() budget { return budget{budgetStart} }

// earn adds the share of a media packet of n bytes.
func (b *budget) earn(n int) { b.bytes = min(budgetMost, b.bytes+n/budgetShare) }

// spend takes n bytes, if they are there.
func (b *budget) spend(n int) bool {
	if b.bytes < n {
		return false
	}
	b.bytes -= n
	return true
}
