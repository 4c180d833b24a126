package authclient

import (
	"maps"
	"testing"
	"time"
)

func TestTheDefaultsAreThoseOfTheOtherLanguages(t *testing.T) {
	var glossary struct {
		Settings []struct {
			Go      string
			Default float64
		}
	}
	readVectorFile(t, "settings.json", &glossary)
	want := map[string]float64{}
	for _, setting := range glossary.Settings {
		want[setting.Go] = setting.Default
	}
	config, err := Config{Issuer: "i", Audience: "a"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{"Config.CacheSize": float64(config.CacheSize), "askedAtOnce": askedAtOnce, "repeats": repeats}
	for name, duration := range map[string]time.Duration{
		"Config.MaxStaleness":  config.MaxStaleness,
		"Config.MaxKeyAge":     config.MaxKeyAge,
		"Config.FirstViewWait": config.FirstViewWait,
		"Config.VerifyTimeout": config.VerifyTimeout,
		"leeway":               leeway,
		"keyNotice":            keyNotice,
		"leastStreamStaleness": leastStreamStaleness,
		"askingLimit":          askingLimit,
		"shortestWait":         shortestWait,
		"longestWait":          longestWait,
		"connectLimit":         connectLimit,
		"silenceLimit":         silenceLimit,
		"longestWatch":         longestWatch,
		"mostDrift":            mostDrift,
		"retryDelay":           retryDelay,
		"repeatPause":          repeatPause,
		"heardLimit":           heardLimit,
	} {
		got[name] = duration.Seconds()
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
