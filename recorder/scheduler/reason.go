package scheduler

import "tongxiang/recorder/schedule"

// Explain returns what a reason means and what to do about it, for a person; empty
// for a code that is not one.
func Explain(r schedule.Reason) (en, zh string) {
	switch r {
	case schedule.ReasonNone:
		return "", ""
	case schedule.ReasonRecordedAlready:
		return "Left out: this episode was recorded, or is planned earlier.", "已跳过：该集已录制或已在更早的计划中。"
	case schedule.ReasonTitleToday:
		return "Left out: this title is recorded once a day.", "已跳过：该节目每天只录一次。"
	case schedule.ReasonDisabled:
		return "The schedule is switched off.", "该计划已停用。"
	case schedule.ReasonSkipped:
		return "Somebody left it out, this time only.", "已被人工跳过，仅此一次。"
	case schedule.ReasonServerDown:
		return "The server was not running at that time.", "当时服务器未运行。"
	case schedule.ReasonSourceGone:
		return "Nothing came from the source; check the channel, or whether it was removed.", "信号源无内容，请检查该频道或是否已被删除。"
	case schedule.ReasonEventGone:
		return "The guide has this programme no more; it is recorded at the time known last.", "节目单中已没有该节目，将按最后已知的时间录制。"
	case schedule.ReasonNoRoom:
		return "There is no room on the disk; delete recordings or shorten what they are kept for.", "磁盘空间不足，请删除录像或缩短保留期。"
	case schedule.ReasonNoSpeed:
		return "The disk is too slow for so many recordings at once; move some of them.", "磁盘写入速度不足以同时录制这么多内容，请错开时间。"
	case schedule.ReasonNoInput:
		return "No tuner is free; move one of the recordings.", "没有空闲的调谐器，请错开时间。"
	case schedule.ReasonNoTranscoder:
		return "No transcoder is free; move one of the recordings or record as a transport stream.", "没有空闲的转码通道，请错开时间或改为 TS 格式。"
	case schedule.ReasonLate:
		return "It began late; the beginning is missing.", "开始较晚，缺少开头部分。"
	case schedule.ReasonMoved:
		return "The broadcaster put the programme off; it is recorded at its new time.", "节目被推迟，将在新的时间录制。"
	case schedule.ReasonClock:
		return "The server's clock was set over this time; check the time server.", "服务器时钟被调整，跳过了这段时间，请检查校时。"
	case schedule.ReasonInterrupted:
		return "The server was away for a part of it; it is in several recordings.", "服务器曾中断，内容分在多个录像中。"
	case schedule.ReasonGaveWay:
		return "It gave way to a recording of higher priority.", "已让位于更高优先级的录制。"
	case schedule.ReasonStopped:
		return "Somebody stopped it.", "已被人工停止。"
	case schedule.ReasonRuleGone:
		return "The schedule was removed or switched off meanwhile.", "该计划在此期间被删除或停用。"
	case schedule.ReasonFailed:
		return "The recorder could not begin or keep it; see the recordings folder and the log.", "录制无法开始或继续，请检查录制文件夹和日志。"
	}
	return "", ""
}
