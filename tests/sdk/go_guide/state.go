// The state API through go-sdk, as the quickstarts use it.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const store = "statestore"

func newKey() string { return fmt.Sprintf("go-%d", time.Now().UnixNano()) }

func expect(found, wanted string) error {
	if found != wanted {
		return fmt.Errorf("%q, not %q", found, wanted)
	}
	return nil
}

func (g guide) value(ctx context.Context, key, wanted string) error {
	item, err := g.GetState(ctx, store, key, nil)
	if err != nil {
		return err
	}
	return expect(string(item.Value), wanted)
}

func (g guide) saveAndGet(ctx context.Context) error {
	key := newKey()
	if err := g.SaveState(ctx, store, key, []byte(`{"name":"cars"}`), nil); err != nil {
		return err
	}
	return g.value(ctx, key, `{"name":"cars"}`)
}

func (g guide) updateWithETag(ctx context.Context) error {
	key := newKey()
	if err := g.SaveState(ctx, store, key, []byte("1"), nil); err != nil {
		return err
	}
	item, err := g.GetState(ctx, store, key, nil)
	if err != nil {
		return err
	}
	if err := g.SaveStateWithETag(ctx, store, key, []byte("2"), item.Etag, nil); err != nil {
		return err
	}
	err = g.SaveStateWithETag(ctx, store, key, []byte("3"), item.Etag, nil)
	if code := status.Code(errors.Unwrap(err)); code != codes.Aborted {
		return fmt.Errorf("an old etag was answered with %v (%v)", err, code)
	}
	return g.value(ctx, key, "2")
}

func (g guide) bulk(ctx context.Context) error {
	keys := []string{newKey(), newKey() + "b"}
	items := []*dapr.SetStateItem{{Key: keys[0], Value: []byte("0")}, {Key: keys[1], Value: []byte("1")}}
	if err := g.SaveBulkState(ctx, store, items...); err != nil {
		return err
	}
	found, err := g.GetBulkState(ctx, store, keys, nil, 2)
	if err != nil {
		return err
	}
	for i, each := range found {
		if err := expect(each.Key+"="+string(each.Value), fmt.Sprintf("%s=%d", keys[i], i)); err != nil {
			return err
		}
	}
	return nil
}

func (g guide) transaction(ctx context.Context) error {
	one, two := newKey(), newKey()+"b"
	if err := g.SaveState(ctx, store, two, []byte("old"), nil); err != nil {
		return err
	}
	err := g.ExecuteStateTransaction(ctx, store, nil, []*dapr.StateOperation{
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: one, Value: []byte("new")}},
		{Type: dapr.StateOperationTypeDelete, Item: &dapr.SetStateItem{Key: two}},
	})
	if err != nil {
		return err
	}
	return errors.Join(g.value(ctx, one, "new"), g.value(ctx, two, ""))
}

func (g guide) remove(ctx context.Context) error {
	key := newKey()
	if err := g.SaveState(ctx, store, key, []byte("1"), nil); err != nil {
		return err
	}
	return errors.Join(g.DeleteState(ctx, store, key, nil), g.value(ctx, key, ""))
}

func (g guide) states() {
	method("SaveState, GetState", g.saveAndGet)
	method("SaveStateWithETag", g.updateWithETag)
	method("SaveBulkState, GetBulkState", g.bulk)
	method("ExecuteStateTransaction", g.transaction)
	method("DeleteState", g.remove)
}
