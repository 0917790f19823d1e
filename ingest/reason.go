package ingest

import (
	"fmt"
	"time"

	"tongxiang/ingest/source"
)

// Reason says why, for scripts by its code and for people in two languages. The
// zero value: nothing is wrong.
type Reason struct {
	Code string `json:"code,omitempty"`
	EN   string `json:"en,omitempty"`
	ZH   string `json:"zh,omitempty"`
	// Detail is the technical cause, in English, for the log and the operator.
	Detail string `json:"detail,omitempty"`
}

// clockReason says that the server's clock is not the broadcaster's.
func clockReason(offset time.Duration) Reason {
	en, zh := "ahead of", "快"
	if offset < 0 {
		en, zh = "behind", "慢"
	}
	d := offset.Abs().Round(time.Second)
	return Reason{
		Code: "clock_offset",
		EN:   fmt.Sprintf("The clock of this server is %v %s the broadcaster's; recordings by the guide would miss their time.", d, en),
		ZH:   fmt.Sprintf("本机时钟比播出方时钟%s %v，按节目单录制会错过时间。", zh, d),
	}
}

// reasonFor returns the sentence for a cause.
func reasonFor(c source.Cause) Reason {
	r := Reason{Code: string(c)}
	switch c {
	case source.CauseNone:
		return Reason{}
	case source.CauseBadAddress:
		r.EN, r.ZH = "The source address is not valid; please check it.", "信号源地址不正确，请检查。"
	case source.CauseUnreachable:
		r.EN, r.ZH = "The source cannot be reached. Trying again.", "连接不上信号源，正在重试。"
	case source.CauseRefused:
		r.EN, r.ZH = "The source refused the request. Trying again.", "信号源拒绝了请求，正在重试。"
	case source.CauseCredentials:
		r.EN, r.ZH = "The source wants another user name or password.", "信号源的用户名或密码不正确。"
	case source.CauseNotFound:
		r.EN, r.ZH = "The source does not have this stream or file.", "信号源上没有这个节目或文件。"
	case source.CauseNoPackets:
		r.EN, r.ZH = "No signal: nothing arrives from the source.", "无信号：没有收到信号源的数据。"
	case source.CauseNoMedia:
		r.EN, r.ZH = "Data arrives, but no picture and no sound of this programme.", "收到数据，但没有该节目的画面和声音。"
	case source.CauseEnded:
		r.EN, r.ZH = "The source ended the stream. Connecting again.", "信号源中断，正在重新连接。"
	case source.CauseUnplayable:
		r.EN, r.ZH = "The source has no picture or sound that can be played.", "信号源中没有可以播放的画面或声音。"
	case source.CauseInUse:
		r.EN, r.ZH = "Another program of this machine receives at this address already. Trying again.", "本机的另一个程序正占用该接收地址，正在重试。"
	case source.CauseNotTS:
		r.EN, r.ZH = "What arrives is no transport stream.", "收到的数据不是传输流（TS）。"
	case source.CauseFailed:
		r.EN, r.ZH = "Receiving failed. Trying again.", "接收出错，正在重试。"
	}
	return r
}
