package api

import (
	"context"
	"iter"
	"slices"
	"time"
)

// The iterators below ask for page after page while the caller takes items,
// and end with the first error, which they yield beside a zero item.

// All yields the OpenIDs of all followers, 10000 a call.
func (s UserService) All(ctx context.Context) iter.Seq2[string, error] {
	return s.From(ctx, "")
}

// From yields the OpenIDs of the followers after one, to go on where an
// earlier run stopped.
func (s UserService) From(ctx context.Context, openID string) iter.Seq2[string, error] {
	return openIDs(openID, func(next string) (OpenIDList, string, error) {
		resp, err := s.List(ctx, UserListRequest{NextOpenID: next})
		return resp.Data, resp.NextOpenID, err
	})
}

// Infos yields the profiles of followers, 100 a call. The platform promises no
// order and may leave some out: match by OpenID. It takes OpenIDs as it needs
// them, so s.Infos(ctx, s.All(ctx)) is all followers in little memory. An error
// of openIDs is passed on.
func (s UserService) Infos(ctx context.Context, openIDs iter.Seq2[string, error]) iter.Seq2[UserInfo, error] {
	return func(yield func(UserInfo, error) bool) {
		send := func(batch []UserQuery) bool {
			if len(batch) == 0 {
				return true
			}
			resp, err := s.InfoBatchGet(ctx, UserInfoBatchGetRequest{UserList: batch})
			if err != nil {
				yield(UserInfo{}, err)
				return false
			}
			for _, info := range resp.UserInfoList {
				if !yield(info, nil) {
					return false
				}
			}
			return true
		}
		var batch []UserQuery
		for id, err := range openIDs {
			if err != nil {
				yield(UserInfo{}, err)
				return
			}
			if batch = append(batch, UserQuery{OpenID: id}); len(batch) == 100 {
				if !send(batch) {
					return
				}
				batch = batch[:0]
			}
		}
		send(batch)
	}
}

// OpenIDs makes a sequence of a list, for [UserService.Infos].
func OpenIDs(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range list {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// AllUsers yields the OpenIDs of the followers with a tag.
func (s TagService) AllUsers(ctx context.Context, tagID int) iter.Seq2[string, error] {
	return openIDs("", func(next string) (OpenIDList, string, error) {
		resp, err := s.UserList(ctx, TagUserListRequest{TagID: tagID, NextOpenID: next})
		return resp.Data, resp.NextOpenID, err
	})
}

// TagAll tags followers, 50 a call.
func (s TagService) TagAll(ctx context.Context, tagID int, openIDs []string) error {
	for batch := range slices.Chunk(openIDs, 50) {
		if _, err := s.BatchTag(ctx, TagBatchTagRequest{TagID: tagID, OpenIDList: batch}); err != nil {
			return err
		}
	}
	return nil
}

// All yields the OpenIDs of all blacklisted followers.
func (s BlacklistService) All(ctx context.Context) iter.Seq2[string, error] {
	return openIDs("", func(next string) (OpenIDList, string, error) {
		resp, err := s.List(ctx, BlacklistListRequest{BeginOpenID: next})
		return resp.Data, resp.NextOpenID, err
	})
}

// openIDs walks pages that name the last OpenID of each. The size of a page is
// not relied on: the end is an empty page, or one that does not go on.
func openIDs(next string, page func(next string) (OpenIDList, string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			list, after, err := page(next)
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range list.OpenID {
				if !yield(id, nil) {
					return
				}
			}
			if len(list.OpenID) == 0 || after == "" || after == next {
				return
			}
			next = after
		}
	}
}

// offsets walks pages by offset until total items were seen or a page is
// empty.
func offsets[T any](size int, page func(offset, count int) (items []T, total int, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for offset := 0; ; {
			items, total, err := page(offset, size)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			offset += len(items)
			if len(items) == 0 || offset >= total {
				return
			}
		}
	}
}

// All yields all permanent material of a type: image, voice, video or news.
func (s MaterialService) All(ctx context.Context, kind string) iter.Seq2[MaterialItem, error] {
	return offsets(20, func(offset, count int) ([]MaterialItem, int, error) {
		resp, err := s.List(ctx, MaterialListRequest{Type: kind, Offset: offset, Count: count})
		return resp.Item, resp.TotalCount, err
	})
}

// All yields all drafts, with the HTML of their articles if content is true.
func (s DraftService) All(ctx context.Context, content bool) iter.Seq2[DraftItem, error] {
	return offsets(20, func(offset, count int) ([]DraftItem, int, error) {
		resp, err := s.List(ctx, DraftListRequest{Offset: offset, Count: count, NoContent: without(content)})
		return resp.Item, resp.TotalCount, err
	})
}

// All yields everything published, with the HTML of the articles if content is
// true.
func (s PublishService) All(ctx context.Context, content bool) iter.Seq2[PublishItem, error] {
	return offsets(20, func(offset, count int) ([]PublishItem, int, error) {
		resp, err := s.List(ctx, PublishListRequest{Offset: offset, Count: count, NoContent: without(content)})
		return resp.Item, resp.TotalCount, err
	})
}

func without(content bool) int {
	if content {
		return 0
	}
	return 1
}

// All yields the account's templates. The platform sends them in one page.
func (s TemplateService) All(ctx context.Context) iter.Seq2[Template, error] {
	return func(yield func(Template, error) bool) {
		resp, err := s.List(ctx)
		if err != nil {
			yield(Template{}, err)
			return
		}
		for _, t := range resp.TemplateList {
			if !yield(t, nil) {
				return
			}
		}
	}
}

// AllTitles yields the public template titles of categories, whose ids are
// joined by commas.
func (s SubscribeService) AllTitles(ctx context.Context, ids string) iter.Seq2[SubscribeTitle, error] {
	return offsets(30, func(offset, count int) ([]SubscribeTitle, int, error) {
		resp, err := s.PubTitleList(ctx, SubscribePubTitleListRequest{IDs: ids, Start: offset, Limit: count})
		return resp.Data, resp.Count, err
	})
}

// AllMessages yields the messages of customer service from one time to another,
// which is not included. Any span will do: the platform is asked for a day at
// a time.
func (s KFService) AllMessages(ctx context.Context, from, to time.Time) iter.Seq2[KFMessage, error] {
	const pageSize = 10000
	return func(yield func(KFMessage, error) bool) {
		for begin := from; begin.Before(to); begin = begin.Add(24 * time.Hour) {
			end := begin.Add(24 * time.Hour)
			if end.After(to) {
				end = to
			}
			for id := int64(1); ; {
				resp, err := s.MessageRecords(ctx, KFMessageRecordsRequest{
					StartTime: begin.Unix(), EndTime: end.Unix() - 1, MsgID: id, Number: pageSize})
				if err != nil {
					yield(KFMessage{}, err)
					return
				}
				for _, m := range resp.RecordList {
					if !yield(m, nil) {
						return
					}
				}
				if len(resp.RecordList) < pageSize || resp.MsgID == id {
					break
				}
				id = resp.MsgID
			}
		}
	}
}

// All yields the comments of an article of a mass message.
func (s CommentService) All(ctx context.Context, msgDataID int64, index int) iter.Seq2[Comment, error] {
	return offsets(49, func(offset, count int) ([]Comment, int, error) {
		resp, err := s.List(ctx, CommentListRequest{MsgDataID: msgDataID, Index: index, Begin: offset, Count: count})
		return resp.Comment, resp.Total, err
	})
}

// AllAuthorizers yields the accounts that gave a third-party platform their
// authorisation.
func (s ComponentService) AllAuthorizers(ctx context.Context, componentAppID string) iter.Seq2[Authorizer, error] {
	return offsets(500, func(offset, count int) ([]Authorizer, int, error) {
		resp, err := s.AuthorizerList(ctx, ComponentAuthorizerListRequest{ComponentAppID: componentAppID, Offset: offset, Count: count})
		return resp.List, resp.TotalCount, err
	})
}
