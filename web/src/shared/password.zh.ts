/** Changing one's own password, on every page that has it. */
export default {
  change: '修改密码',
  present: '当前密码',
  next: '新密码',
  again: '再次输入新密码',
  rule: '8 至 128 个字符，至少包含大写字母、小写字母、数字、其他字符中的三类，不能包含用户名。',
  show: '显示密码',
  save: '修改',
  busy: '正在修改…',
  cancel: '取消',
  close: '关闭',
  done: '密码已修改。其他设备上的登录已退出，请用新密码重新登录。',
  needAll: '请填写三个密码框。',
  differ: '两次输入的新密码不一致。',
  wrong: '当前密码不对，请重新输入。',
}
