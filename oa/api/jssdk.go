package api
func (c *Client) ticket(kind string) *cached { return nil }
