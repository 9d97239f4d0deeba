package shop

type product struct {
	id, name, category string
	price              float64
}

var products = []product{
	{"p-101", "Linen shirt", "clothing", 49},
	{"p-102", "Rain jacket", "clothing", 129},
	{"p-103", "Wool socks", "clothing", 14.5},
	{"p-104", "Canvas sneakers", "shoes", 69},
	{"p-105", "Trail shoes", "shoes", 118},
	{"p-106", "Sandals", "shoes", 39.9},
	{"p-107", "Pour-over kettle", "kitchen", 54},
	{"p-108", "Chef's knife", "kitchen", 89},
	{"p-109", "Enamel mug", "kitchen", 12},
	{"p-110", "Cast-iron pan", "kitchen", 64},
	{"p-111", "Reading lamp", "home", 74},
	{"p-112", "Wool blanket", "home", 98},
	{"p-113", "Oak stool", "home", 145},
	{"p-114", "Paper notebook", "paper", 9.8},
	{"p-115", "Fountain pen", "paper", 34},
	{"p-116", "Wall calendar", "paper", 19},
}

// place is a country's consumer network (its first two bytes) and language.
type place struct {
	network, locale string
	weight          int
}

var places = []place{
	{"126.72", "ja-JP", 30}, // SoftBank
	{"73.202", "en-US", 25}, // Comcast
	{"84.135", "de-DE", 12}, // Deutsche Telekom
	{"86.140", "en-GB", 10}, // BT
	{"90.20", "fr-FR", 8},   // Orange
	{"177.32", "pt-BR", 6},  // Claro
	{"121.134", "ko-KR", 5}, // Korea Telecom
	{"117.200", "hi-IN", 4}, // BSNL
}

var agents = []string{
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
	"Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
}

const crawler = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

// arrival is how a visit begins: the page before, and the landing page's query.
type arrival struct {
	referrer, search string
	weight           int
}

var arrivals = []arrival{
	{"", "", 35},
	{"https://www.google.com/", "", 20},
	{"https://www.google.com/", "?utm_source=google&utm_medium=cpc&utm_campaign=autumn&gclid=EAIaIQobChMI", 12},
	{"https://www.bing.com/search?q=wool+blanket", "", 5},
	{"https://l.instagram.com/", "?utm_source=instagram&utm_medium=social&utm_campaign=new-in&fbclid=IwAR2", 12},
	{"https://t.co/", "", 4},
	{"", "?utm_source=newsletter&utm_medium=email&utm_campaign=weekly", 9},
	{"https://blog.example.org/best-kettles", "", 3},
}
