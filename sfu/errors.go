package sfu

import (
	"net/http"

	"tongxiang/internal/apierr"
)

// What a WHIP or WHEP client may be told. Config.Authorize adds its own:
// unauthorized, token_expired, wrong_stream and whatever else it decides.
var (
	errBadSDP = apierr.New(http.StatusBadRequest, "bad_sdp",
		"The request body is not a usable SDP offer.",
		"请求内容不是可用的 SDP offer。")
	errNoMedia = apierr.New(http.StatusUnprocessableEntity, "no_media",
		"The SDP offer has no audio or video in the needed direction.",
		"SDP offer 中没有所需方向的音频或视频。")
	errNoCodec = apierr.New(http.StatusUnprocessableEntity, "no_common_codec",
		"The SDP offer has none of the codecs H.264 (packetization-mode 1), VP8 and Opus.",
		"SDP offer 中没有 H.264（packetization-mode 1）、VP8 或 Opus 编码。")
	errTooLarge = apierr.New(http.StatusRequestEntityTooLarge, "sdp_too_large",
		"The SDP is larger than the server accepts.",
		"SDP 超过服务器允许的大小。")
	errTooManyMedia = apierr.New(http.StatusUnprocessableEntity, "too_many_media",
		"The SDP offer has more media sections than the server accepts.",
		"SDP offer 中的媒体行数超过上限。")
	errTooManyPeers = apierr.New(http.StatusServiceUnavailable, "too_many_peers",
		"The server carries as many connections as it is allowed to. Please try again later.",
		"服务器连接数已达上限，请稍后再试。")
	errContentType = apierr.New(http.StatusUnsupportedMediaType, "unsupported_content_type",
		"The Content-Type must be application/sdp for POST and application/trickle-ice-sdpfrag for PATCH.",
		"POST 的 Content-Type 应为 application/sdp，PATCH 应为 application/trickle-ice-sdpfrag。")
	errBadName = apierr.New(http.StatusNotFound, "stream_not_found",
		"There is no stream of this name.",
		"没有这个名称的流。")
	errWrongStream = apierr.New(http.StatusForbidden, "wrong_stream",
		"Your token is for another stream.",
		"令牌不适用于这个流。")
	errNoSession = apierr.New(http.StatusNotFound, "session_not_found",
		"This media session has ended. Please connect again.",
		"媒体会话已结束，请重新连接。")
	errNoETag = apierr.New(http.StatusPreconditionRequired, "if_match_required",
		"PATCH needs the If-Match header.",
		"PATCH 请求需要 If-Match 头。")
	errETag = apierr.New(http.StatusPreconditionFailed, "etag_mismatch",
		"The ICE session has changed since; restart ICE with If-Match: *.",
		"ICE 会话已变化，请用 If-Match: * 重新启动 ICE。")
	errBadFragment = apierr.New(http.StatusBadRequest, "bad_sdp_fragment",
		"The request body is not a usable SDP fragment.",
		"请求内容不是可用的 SDP 片段。")
	errClosed = apierr.New(http.StatusServiceUnavailable, "shutting_down",
		"The server is shutting down.",
		"服务器正在关闭。")
)
