package enrichment

import (
	"strings"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/event"
)

// The kinds of agents, as event.Agent's Kind holds them.
const (
	Desktop = "desktop"
	Mobile  = "mobile"
	Tablet  = "tablet"
	TV      = "tv"
	Bot     = "bot"
	Other   = "other"
)

const (
	// maxAgent is how much of a user agent is read, in bytes.
	maxAgent = 1024
	// defaultAgents is how many user agents are kept: 10 to 25 MB when full.
	defaultAgents = 16384
)

// Agents reads user agents and keeps what it read. The zero value is ready; it
// must not be copied.
type Agents struct {
	// Size is how many user agents are kept, 16,384 when 0.
	Size  int
	cache cache[*event.Agent]
}

var noAgent = &event.Agent{Kind: Other}

// Lookup returns what a User-Agent header says, with uap-core's names ("Other"
// for what it does not know). The result is shared: it must not be changed.
func (a *Agents) Lookup(ua string) *event.Agent {
	ua = cut(ua, maxAgent)
	if ua == "" {
		return noAgent
	}
	size := a.Size
	if size <= 0 {
		size = defaultAgents
	}
	return a.cache.get(ua, size, readAgent)
}

func readAgent(ua string) *event.Agent {
	ua = strings.ToValidUTF8(ua, "\uFFFD")
	if strings.TrimSpace(ua) == "" || ua == "-" {
		return noAgent
	}
	browser, system, device := defaultUAP().parse(ua)
	a := &event.Agent{
		Browser:        browser[0],
		BrowserVersion: version(browser[1:4]),
		Os:             system[0],
		OsVersion:      version(system[1:5]),
		Device:         device[0],
		Brand:          device[1],
		Model:          device[2],
	}
	lower := strings.ToLower(ua)
	a.BotName = botName(ua, lower, a)
	a.Bot = a.BotName != ""
	a.Kind = kind(lower, a)
	return a
}

// version joins the parts of a version that are known, as uap-go does.
func version(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		if p == "" {
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

// What devices say of themselves.
var (
	tvWords = []string{"smart-tv", "smarttv", "smart tv", "googletv", "google tv", "android tv", "androidtv",
		"appletv", "apple tv", "tvos", "hbbtv", "netcast", "web0s", "webos.tv", "bravia", "viera", "aquostv", "aquosbrowser",
		"roku/", "crkey", "; aft", "philipstv", "opera tv", "mibox", "bdp-"}
	tabletWords = []string{"ipad", "tablet", "kindle", "playbook", "nexus 7", "nexus 9", "nexus 10", "touchpad"}
	mobileWords = []string{"mobile", "mobi/", "iphone", "ipod", "midp", "opera mini", "opera mobi", "phone", "blackberry",
		"symbian", "j2me", "up.browser", "wap browser", "docomo", "kddi", "ucweb", "nokia"}
)

var desktopSystems = map[string]bool{"Mac OS X": true, "Mac OS": true, "Linux": true, "Ubuntu": true, "Kubuntu": true,
	"Fedora": true, "Debian": true, "Red Hat": true, "SUSE": true, "openSUSE": true, "Gentoo": true, "Arch Linux": true,
	"Mageia": true, "Mandriva": true, "Slackware": true, "CentOS": true, "Puppy": true, "Linux Mint": true,
	"PCLinuxOS": true, "Chrome OS": true, "FreeBSD": true, "OpenBSD": true, "NetBSD": true, "DragonFly BSD": true,
	"Solaris": true, "Haiku": true}

// kind tells what sort of device a user agent in lower case runs on.
func kind(lower string, a *event.Agent) string {
	switch {
	case a.Bot:
		return Bot
	case a.Os == "ATV OS X", a.Os == "tvOS", a.Os == "Chromecast", containsAny(lower, tvWords):
		return TV
	case strings.HasPrefix(a.Os, "Windows") && !containsAny(a.Os, []string{"Phone", "Mobile", "CE"}):
		return Desktop // "Tablet PC" names a service of Windows
	case containsAny(lower, tabletWords), strings.HasPrefix(a.Device, "Kindle"), strings.HasPrefix(a.Device, "iPad"):
		return Tablet
	case containsAny(lower, mobileWords), a.Os == "iOS", a.Device == "Generic Smartphone", a.Device == "Generic Feature Phone":
		return Mobile
	case a.Os == "Android" && strings.HasPrefix(lower, "mozilla"):
		return Tablet // Android's browsers say Mobile on phones
	case a.Os == "Android":
		return Mobile
	case desktopSystems[a.Os], strings.Contains(lower, "x11;"), strings.Contains(lower, "windows nt"):
		return Desktop
	}
	return Other
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// cut returns at most the first n bytes of s, whole runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
