package api

// Words of exported lists, as the pages have them.

func shiftKind(kind string) string {
	switch kind {
	case "fault":
		return "故障"
	case "handover":
		return "交接班"
	}
	return "记事"
}

// signalInChinese is the word for the state of a channel or an output.
func signalInChinese(state string) string {
	switch state {
	case "live":
		return "正常"
	case "connecting":
		return "正在连接"
	case "lost":
		return "信号中断"
	case "refused":
		return "不能播放"
	case "starting":
		return "正在启动"
	case "on_air":
		return "正在输出"
	case "overloaded":
		return "码率不足"
	case "idle":
		return "等待节目"
	case "stopped":
		return "已停止"
	case "failed":
		return "失败"
	}
	return state
}

// alarmInChinese is the word for an alarm, as on the wall.
func alarmInChinese(alarm string) string {
	switch alarm {
	case "no_signal":
		return "无信号"
	case "sync":
		return "失步"
	case "missing":
		return "缺流"
	case "black":
		return "黑场"
	case "frozen":
		return "静帧"
	case "silent":
		return "无声"
	case "loud":
		return "过响"
	case "scrambled":
		return "加扰"
	case "continuity":
		return "丢包"
	case "transport":
		return "传输错误"
	case "tables":
		return "表异常"
	case "pcr":
		return "PCR"
	case "pts":
		return "PTS"
	}
	return alarm
}

// jobInChinese is the word for a kind of job or its state.
func jobInChinese(code string) string {
	switch code {
	case "thumbnail":
		return "缩略图"
	case "sprite":
		return "预览图"
	case "rendition":
		return "低码率版本"
	case "clip":
		return "剪辑"
	case "verify":
		return "校验"
	case "export":
		return "导出"
	case "queued":
		return "排队"
	case "running":
		return "进行中"
	case "done":
		return "完成"
	case "failed":
		return "失败"
	case "cancelled":
		return "已取消"
	}
	return code
}
