package jobs

// Codes of causes. They are stable.
const (
	CodeFailed        = "failed"
	CodeUnknownKind   = "unknown_kind"
	CodeInterrupted   = "interrupted"
	CodeRecordingGone = "recording_gone"
	CodeRuns          = "recording_runs"
	CodeNothing       = "nothing_recorded"
	CodeNoIndex       = "recording_no_index"
	CodeNoPicture     = "no_picture"
	CodeNoRange       = "no_such_range"
	CodeNoFFmpeg      = "ffmpeg_missing"
	CodeFFmpeg        = "ffmpeg_failed"
	CodeDiskFull      = "disk_full"
	CodeDamaged       = "damaged"
)

// Explain returns what a code means, for a person; empty for a code that is not one.
func Explain(code string) (en, zh string) {
	switch code {
	case CodeFailed:
		return "something went wrong; see the detail and the server's log", "处理出错，详见说明和服务器日志"
	case CodeUnknownKind:
		return "this server does not know this kind of job", "本服务器不支持该类任务"
	case CodeInterrupted:
		return "the server ended each time while it ran; it is not begun again by itself", "每次执行时服务器都异常退出，不再自动重试"
	case CodeRecordingGone:
		return "the recording is not in the library any more", "录制已不在录像库中"
	case CodeRuns:
		return "the recording is still running; try again when it has ended", "录制仍在进行，请结束后重试"
	case CodeNothing:
		return "nothing was recorded, or its file is gone", "没有录到内容，或文件已不存在"
	case CodeNoIndex:
		return "the recording has no index; run tongxiang recordings reindex -deep", "录制没有索引，请运行 tongxiang recordings reindex -deep"
	case CodeNoPicture:
		return "there is no picture that could be decoded", "没有可以解码的画面"
	case CodeNoRange:
		return "nothing of this range is in the recording", "所选时间段内没有录像内容"
	case CodeNoFFmpeg:
		return "ffmpeg is not installed on this server", "本服务器未安装 ffmpeg"
	case CodeFFmpeg:
		return "ffmpeg could not process the recording; its last words are in the detail", "ffmpeg 处理失败，其最后输出见说明"
	case CodeDiskFull:
		return "the disk is full", "磁盘已满"
	case CodeDamaged:
		return "the recording is damaged", "录制文件已损坏"
	}
	return "", ""
}
