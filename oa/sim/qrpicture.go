package sim

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
)

// The picture is as large as a real one: modules of 10 pixels and a margin.
const (
	codeModules = 37
	codeModule  = 10
	codeMargin  = 3 // modules
)

// codePicture draws a JPEG that looks like a QR code but holds nothing to scan;
// its comment segment is the ticket. The same ticket has the same picture.
func codePicture(ticket string) []byte {
	const side = (codeModules + 2*codeMargin) * codeModule
	img := image.NewGray(image.Rect(0, 0, side, side))
	hash := fnv.New64a()
	hash.Write([]byte(ticket))
	r := rand.New(rand.NewPCG(hash.Sum64(), 0))
	var dark [codeModules][codeModules]bool
	for y := range codeModules {
		for x := range codeModules {
			dark[y][x] = r.IntN(2) == 0
		}
	}
	for _, corner := range [][2]int{{0, 0}, {codeModules - 7, 0}, {0, codeModules - 7}} {
		for y := range 7 {
			for x := range 7 {
				ring := max(x-3, 3-x, y-3, 3-y)
				dark[corner[1]+y][corner[0]+x] = ring != 2
			}
		}
	}
	for y := range side {
		for x := range side {
			i, j := y/codeModule-codeMargin, x/codeModule-codeMargin
			inside := i >= 0 && j >= 0 && i < codeModules && j < codeModules
			if !inside || !dark[i][j] {
				img.SetGray(x, y, color.Gray{Y: 0xFF})
			}
		}
	}
	var drawn bytes.Buffer
	_ = jpeg.Encode(&drawn, img, nil) // a bytes.Buffer takes everything
	start, rest := drawn.Bytes()[:2], drawn.Bytes()[2:]
	picture := append(bytes.Clone(start), 0xFF, 0xFE)
	picture = binary.BigEndian.AppendUint16(picture, uint16(len(ticket)+2))
	return append(append(picture, ticket...), rest...)
}
