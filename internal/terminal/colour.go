package terminal

// Colour is a colour or a weight of a word, in the code of terminals. The zero value is none.
type Colour string

// The colours.
const (
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Cyan   Colour = "36"
	Bold   Colour = "1"
)

// Paint returns the text in a colour, if the page has colours. The text is made printable; tabs stay.
func (p *Page) Paint(colour Colour, text string) Shown {
	text = Visible(text, "\t")
	if !p.Colour || colour == "" {
		return Shown(text)
	}
	return Shown("\x1b[" + string(colour) + "m" + text + "\x1b[0m")
}
