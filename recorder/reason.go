package recorder

// Reasons are stable codes: why a recording waits, ended by itself, or has a gap.
const (
	ReasonInterrupted   = "interrupted"         // the process or the machine died
	ReasonServerStopped = "server_stopped"      // in order
	ReasonNothingCame   = "nothing_came"        // it ended before there was anything to record
	ReasonNoSignal      = "no_signal"           // the source is away
	ReasonUnplayable    = "unplayable"          // no codec that MP4 carries
	ReasonNoTransport   = "no_transport_stream" // the source is none, and none can be made of it
	ReasonSourceChanged = "source_changed"      // goes on in another recording
	ReasonTracksLeft    = "tracks_left_out"
	ReasonReaderLagged  = "reader_lagged" // the server was too slow to read
	ReasonDiskFull      = "disk_full"
	ReasonDiskReadOnly  = "disk_read_only"
	ReasonDiskStalled   = "disk_stalled" // a write takes long
	ReasonDiskSlow      = "disk_slow"    // its queue is full
	ReasonDiskError     = "disk_error"
	ReasonStorageTaken  = "storage_taken" // another server writes here
	ReasonFileMissing   = "file_missing"
	ReasonFailed        = "failed"
)

// Explain returns what a reason means, for a person; empty for a code that is not one.
func Explain(reason string) (en, zh string) {
	switch reason {
	case ReasonInterrupted:
		return "interrupted: the server ended without closing it; it plays up to there", "录制中断：服务器异常退出；中断前的内容可以播放"
	case ReasonServerStopped:
		return "interrupted: the server was stopped", "录制中断：服务器已停止"
	case ReasonNothingCame:
		return "ended before anything came", "结束前未收到任何内容"
	case ReasonNoSignal:
		return "waiting: the source is away", "等待中：信号源无信号"
	case ReasonUnplayable:
		return "waiting: nothing in the source can be recorded in MP4; record it as a transport stream", "等待中：信号源的编码无法录制为 MP4，请录制为 TS"
	case ReasonNoTransport:
		return "waiting: the source is no transport stream; record it as MP4", "等待中：信号源不是 TS 流，请录制为 MP4"
	case ReasonSourceChanged:
		return "the source changed its tracks; goes on in the next part", "信号源编码已改变，后续内容见下一段"
	case ReasonTracksLeft:
		return "some tracks were left out because nothing came of them", "部分轨道没有内容，未录制"
	case ReasonReaderLagged:
		return "the server was too busy to read everything", "服务器过忙，部分内容未能读取"
	case ReasonDiskFull:
		return "waiting: the disk is full; it goes on when there is room", "等待中：磁盘已满，有空间后自动继续"
	case ReasonDiskReadOnly:
		return "waiting: the disk cannot be written; it goes on when it can", "等待中：磁盘只读或无权限，恢复后自动继续"
	case ReasonDiskStalled:
		return "waiting: the disk does not answer", "等待中：磁盘无响应"
	case ReasonDiskSlow:
		return "the disk is too slow", "磁盘过慢"
	case ReasonDiskError:
		return "waiting: the disk reports errors; check it", "等待中：磁盘报错，请检查"
	case ReasonStorageTaken:
		return "waiting: another server writes to the recordings folder", "等待中：另一台服务器正在使用录制文件夹"
	case ReasonFileMissing:
		return "the file is gone", "录制文件已不存在"
	case ReasonFailed:
		return "the recording failed", "录制失败"
	}
	return "", ""
}
