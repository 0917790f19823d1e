package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The words of a county's recordings: what meetings are about, what the news and the
// training is called, who sits in them.
var (
	topics = strings.Fields(`防汛会商 森林防火 安全生产 乡村振兴 春耕备播 秋收秋种 小麦条锈病防治 水稻病虫害防治 玉米密植增产 生猪养殖技术 蔬菜大棚管理
		果树冬剪 茶叶加工 电商培训 村医培训 党员学习 廉政教育 信访工作 医保缴费 高考保障 疫苗接种 扫黑除恶 禁毒宣传 国土资源 河长制 退役军人
		养老服务 教育督导 招商引资 项目建设 环保督察 秸秆禁烧 抗旱保苗 地质灾害 食品安全 交通整治 人居环境 厕所革命 农机购置补贴 土地确权 畜禽防疫`)
	kinds    = strings.Fields("工作会议 视频会议 调度会 部署会 动员会 现场会 推进会 专题会 培训班 讲座 例会 总结会 联席会议 应急演练")
	surnames = []rune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤")
	given    = []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国文志海燕春梅新亮永东波宁辉力健峰")
	places   = []rune("青红白石龙凤云山水河沙清平太新永安长兴高大金银松柳桃杏梅竹双三")
	ends     = strings.Fields("镇 乡 镇政府 村委会 街道办 农技站 卫生院 中心校 派出所 文化站")
	series   = strings.Fields("新闻联播 本地新闻 焦点访谈 农业新闻 致富经 每日农经 天气预报 三农长短说 乡村大舞台 科技苑 田间示范秀 今日关注 法治在线 健康之路")
	said     = strings.Fields(`请各镇报告情况 收到 水库水位正常 已经安排人员值守 请把材料发到群里 声音听不清 画面卡住了 我们这边降雨五十毫米 转移群众三十户
		物资已经到位 明天上午检查 请大家静音 下一个发言 没有问题 同意 补充一点 按县里要求落实 道路已经抢通 电力恢复 请农技站答复 病虫害发生率下降 亩产提高 化肥用量减少`)
)

// one is a made-up recording.
type one struct {
	id, stream, title, class, state, body string
	people, units                         []string
	started                               time.Time
	length                                time.Duration
	bytes                                 int64
}

// county makes recordings that are the same each time.
type county struct {
	r      *rand.Rand
	people []string
	units  []string
}

func newCounty() *county {
	c := &county{r: rand.New(rand.NewPCG(5, 100_000))}
	pick := func(l []rune) string { return string(l[c.r.IntN(len(l))]) }
	for range 900 {
		name := pick(surnames) + pick(given)
		if c.r.IntN(3) > 0 {
			name += pick(given)
		}
		c.people = append(c.people, name)
	}
	for range 160 {
		c.units = append(c.units, pick(places)+pick(places)+ends[c.r.IntN(len(ends))])
	}
	return c
}

func some(c *county, l []string, n int) []string {
	out := make([]string, 0, n)
	for range n {
		out = append(out, l[c.r.IntN(len(l))])
	}
	return out
}

// make returns number i of n: ten years, the newest last.
func (c *county) make(i, n int) one {
	began := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(n-i) * (10 * 365 * 24 * time.Hour / time.Duration(n)))
	x := one{
		id: fmt.Sprintf("%s-%08d", began.Format("20060102-150405"), i), started: began, state: "complete",
		length: time.Duration(20+c.r.IntN(160)) * time.Minute,
	}
	x.bytes = int64(x.length.Seconds()) * 250_000
	if c.r.IntN(50) == 0 {
		x.state = "interrupted"
	}
	topic := topics[c.r.IntN(len(topics))]
	switch k := c.r.IntN(100); {
	case k < 45: // a programme
		x.class, x.stream = "news", fmt.Sprintf("channels/ch%02d", c.r.IntN(49))
		x.title = fmt.Sprintf("CCTV-%d %s", 1+c.r.IntN(17), series[c.r.IntN(len(series))])
		x.body = strings.Join(some(c, topics, 4), "，") + "。" + strings.Join(some(c, said, 2), "。")
	case k < 80:
		x.class, x.stream = "meeting", fmt.Sprintf("meetings/m%05d/programme", c.r.IntN(40_000))
		x.title = topic + kinds[c.r.IntN(len(kinds))]
		x.people, x.units = some(c, c.people, 2+c.r.IntN(6)), some(c, c.units, 1+c.r.IntN(8))
		x.body = strings.Join(some(c, said, 3+c.r.IntN(25)), "\n")
	case k < 92:
		x.class, x.stream = "training", fmt.Sprintf("channels/ch%02d", c.r.IntN(49))
		x.title = fmt.Sprintf("%s 第%d讲", topic, 1+c.r.IntN(40))
		x.people = some(c, c.people, 1)
		x.body = strings.Join(some(c, topics, 8), "、")
	default:
		x.class, x.stream = "agriculture", fmt.Sprintf("channels/ch%02d", c.r.IntN(49))
		x.title = "涉农视频：" + topic
	}
	return x
}

// fill writes n recordings as the store would have them, but for the search index,
// which the store makes when it is opened next.
func fill(ctx context.Context, db *sql.DB, n int) error {
	c := newCounty()
	const batch = 2000
	for from := 0; from < n; from += batch {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		put := func() error {
			rec, err := tx.PrepareContext(ctx, `INSERT INTO recordings (id, stream, title, class, state, started, ended, duration, bytes, file, format, reason, people, units, ord)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'fmp4', '', $11, $12, $13)`)
			if err != nil {
				return err
			}
			text, err := tx.PrepareContext(ctx, "INSERT INTO recording_texts (recording, body, chapters) VALUES ($1, $2, '[]')")
			if err != nil {
				return err
			}
			for i := from; i < min(n, from+batch); i++ {
				x := c.make(i, n)
				people, err1 := json.Marshal(append([]string{}, x.people...))
				units, err2 := json.Marshal(append([]string{}, x.units...))
				if err1 != nil || err2 != nil {
					return fmt.Errorf("names of %s: %w, %w", x.id, err1, err2)
				}
				_, err = rec.ExecContext(ctx, x.id, x.stream, x.title, x.class, x.state, x.started.UnixMicro(), x.started.Add(x.length).UnixMicro(),
					x.length.Microseconds(), x.bytes, x.started.Format("2006/01/02/")+x.id+"/media.mp4", string(people), string(units), x.started.UnixMicro())
				if err != nil {
					return err
				}
				if _, err = text.ExecContext(ctx, x.id, x.body); err != nil {
					return err
				}
			}
			return nil
		}
		if err := put(); err != nil {
			_ = tx.Rollback() // the error says why
			return fmt.Errorf("fill: %w", err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	return nil
}
