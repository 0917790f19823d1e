package signaling

import (
	"errors"
	"net/http"

	"github.com/gorilla/websocket"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

// Refusals before the upgrade. Those of the login and of the meeting's existence
// come from [Config.Authenticate] and [Config.Meeting].
var (
	errOrigin = apierr.New(http.StatusForbidden, "origin_not_allowed",
		"This page comes from another site.", "页面来自其他网站，不允许连接。")
	errNotAllowedHere = apierr.New(http.StatusForbidden, "not_allowed",
		"This account may not enter this meeting.", "此账号不能进入本会议。")
	errTooManyConnections = apierr.New(http.StatusTooManyRequests, "too_many_connections",
		"The server holds as many connections as it may; try again in a moment.", "服务器连接数已满，请稍后再试。")
	errShuttingDown = apierr.New(http.StatusServiceUnavailable, "shutting_down",
		"The server is restarting; the page will connect again by itself.", "服务器正在重启，页面会自动重新连接。")
	errMeetingNotFound = apierr.New(http.StatusNotFound, "meeting_not_found",
		"There is no such meeting.", "没有这个会议。")
	errMeetingEnded = apierr.New(http.StatusGone, "meeting_ended",
		"The meeting has ended.", "会议已结束。")
	errNotWebSocket = apierr.New(http.StatusUpgradeRequired, "not_websocket",
		"This address speaks WebSocket.", "此地址需要使用 WebSocket 连接。")
)

// Answers to commands (docs/protocol.md, section 6).
var (
	errMalformed = apierr.New(http.StatusBadRequest, "malformed",
		"The message has the wrong form.", "消息格式不正确。")
	errInvalid = apierr.New(http.StatusUnprocessableEntity, "invalid",
		"A value is out of bounds.", "内容超出允许的范围。")
	errNeedMember = apierr.New(http.StatusForbidden, "not_allowed",
		"Viewers cannot do this; raise your hand to take part.", "收看席不能这样做；需要发言请举手。")
	errNeedChair = apierr.New(http.StatusForbidden, "not_allowed",
		"Only a chair can do this.", "只有主席可以这样做。")
	errMutedByChair = apierr.New(http.StatusForbidden, "muted_by_chair",
		"The chair has muted you; raise your hand to speak.", "主席已将您静音；需要发言请举手。")
	errParticipantNotFound = apierr.New(http.StatusNotFound, "participant_not_found",
		"This participant is not in the meeting.", "该会场不在会议中。")
	errScreenTaken = apierr.New(http.StatusConflict, "screen_taken",
		"Somebody else is sharing the screen.", "其他会场正在共享屏幕。")
	errLastChair = apierr.New(http.StatusConflict, "last_chair",
		"A meeting keeps at least one chair; make somebody else chair first.", "会议至少保留一位主席；请先指定另一位主席。")
	errAlreadySeated = apierr.New(http.StatusConflict, "already_seated",
		"This connection is in the meeting already.", "此连接已经入会。")
	errTooManyMessages = apierr.New(http.StatusTooManyRequests, "too_many_messages",
		"Too many messages; wait a moment.", "操作太频繁，请稍候。")
	errStoreUnavailable = apierr.New(http.StatusServiceUnavailable, "store_unavailable",
		"The server could not write this down, so it did not happen; try again.", "服务器未能保存，操作没有生效，请重试。")
)

// Endings, each with its close code.
var (
	errLeft = apierr.New(http.StatusOK, "left",
		"You have left the meeting.", "您已离开会议。")
	errReplaced = apierr.New(http.StatusConflict, "replaced",
		"You have entered this meeting in another window.", "您已在另一个窗口进入本会议。")
	errVersion = apierr.New(http.StatusBadRequest, "unsupported_version",
		"The page is of another version than the server; reload it.", "页面版本与服务器不一致，请刷新页面。")
	errFull = apierr.New(http.StatusConflict, "meeting_full",
		"The meeting is full.", "会议人数已满。")
	errHelloRequired = apierr.New(http.StatusBadRequest, "hello_required",
		"The first message must be hello, within ten seconds.", "连接后须先在十秒内发送 hello。")
	errHeartbeat = apierr.New(http.StatusRequestTimeout, "heartbeat_timeout",
		"Nothing was heard from you for 15 seconds.", "15 秒没有收到您的消息，连接已断开。")
	errSlow = apierr.New(http.StatusRequestTimeout, "slow_client",
		"Your line is too slow for the messages of this meeting; connecting again.", "您的线路过慢，消息积压，正在重新连接。")
	errTooLarge = apierr.New(http.StatusRequestEntityTooLarge, "message_too_large",
		"A message was longer than 16 KiB.", "消息超过 16 KiB。")
)

// closeCode returns the WebSocket close code of an ending.
func closeCode(code string) int {
	switch code {
	case errLeft.Code:
		return websocket.CloseNormalClosure
	case errMeetingEnded.Code:
		return 4001
	case errReplaced.Code:
		return 4002
	case errVersion.Code:
		return 4003
	case errFull.Code:
		return 4004
	case errHelloRequired.Code:
		return 4005
	case errHeartbeat.Code:
		return 4006
	case errSlow.Code:
		return 4007
	case errTooManyMessages.Code:
		return 4008
	case errStoreUnavailable.Code:
		return 4009
	case errTooLarge.Code:
		return websocket.CloseMessageTooBig
	case errShuttingDown.Code:
		return websocket.CloseGoingAway
	}
	return websocket.CloseInternalServerErr
}

// answer turns an error of the meeting's rules into what a person is told, and the role that was needed.
func answer(err error) (*apierr.Error, meeting.Role) {
	var notAllowed meeting.NotAllowed
	var invalid meeting.Invalid
	switch {
	case errors.As(err, &notAllowed) && notAllowed.Need == meeting.Chair:
		return errNeedChair, meeting.Chair
	case errors.As(err, &notAllowed):
		return errNeedMember, notAllowed.Need
	case errors.As(err, &invalid):
		return errInvalid.Because(err), ""
	case errors.Is(err, meeting.ErrMutedByChair):
		return errMutedByChair, ""
	case errors.Is(err, meeting.ErrParticipantNotFound):
		return errParticipantNotFound, ""
	case errors.Is(err, meeting.ErrScreenTaken):
		return errScreenTaken, ""
	case errors.Is(err, meeting.ErrLastChair):
		return errLastChair, ""
	case errors.Is(err, meeting.ErrFull):
		return errFull, ""
	case errors.Is(err, meeting.ErrEnded):
		return errMeetingEnded, ""
	}
	return apierr.As(err), ""
}
