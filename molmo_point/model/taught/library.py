"""`Library`: taught objects with their names, views and heads, as a value that never changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from molmo_point.errors import InputError
from molmo_point.model.taught.feature_network import FeatureNetwork, available_networks, load_feature_network
from molmo_point.model.taught.heads import Head, confusable, fit_heads
from molmo_point.model.taught.object_names import (
    NameKey,
    checked_name,
    loose_key,
    name_key,
    nearest_name,
    query_keys,
    without_owner,
)
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.model.taught.taught_object import (
    TaughtObject,
    TaughtView,
    check_names,
    checked_object,
    joined_words,
    thumbnail_of,
)
from molmo_point.model.taught.view_examples import ViewExamples, view_examples

_NAMED_AT_MOST = 8


@dataclass(frozen=True, eq=False)
class Library:
    """Taught objects. Every change returns a new library.

    Attributes:
        features: Version of the features: name and hash of their network.
        objects: Taught objects in the order of their teaching.
        heads: Head of every object by its name.
        title: Short name of the library, e.g. of its file; results carry it.
        known_before: Digests by name of the objects that its file held when it was read or written last.
    """

    features: str
    objects: tuple[TaughtObject, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    title: str = ""
    known_before: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, network: FeatureNetwork | None = None, title: str = "") -> "Library":
        """Make a library without objects; None takes the default network."""
        network = load_feature_network() if network is None else network
        return cls(network.version, title=title)

    def load_network(self) -> FeatureNetwork:
        """Load the feature network that the heads were fitted to.

        Raises:
            InputError: This version of molmo-point has other features.
            CheckpointError: The files of the network are broken.
        """
        return network_of(self.features)

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all objects in the order of their teaching."""
        return tuple(each.name for each in self.objects)

    @property
    def examples(self) -> dict[str, tuple[ViewExamples, ...]]:
        """Examples of all views by the name of their object."""
        return {each.name: tuple(view.examples for view in each.views) for each in self.objects}

    def named(self, words: str) -> tuple[TaughtObject, ...]:
        """Return the objects that a query names: one by its own names, or all of a category; empty if it names none.

        Requests, articles, case and plural do not count: "point to the Blue Things" names "blue thing". A strict match
        comes before a loose one. "My pen" also names "pen" if that is an object, but not if it is a category.
        """
        keys = query_keys(words)
        for key in keys:
            for index, wanted in ((self._strict, key), (self._loose, loose_key(key))):
                if wanted in index:
                    return index[wanted]
        own = {loose_key(name_key(name)): each for each in self.objects for name in each.own_names}
        return tuple(own[key] for key in (loose_key(without_owner(keys[-1])),) if key in own)

    def find(self, name: str) -> TaughtObject:
        """Return the object of a name or an alias.

        Raises:
            InputError: The library has no such object; the message says what it has.
        """
        own = {name_key(each): known for known in self.objects for each in known.own_names}
        key = name_key(name)
        if key in own:
            return own[key]
        near = self.suggestion(name)
        known = f"it has {listed_names(self.names)}" if self.objects else "it has no object"
        fix = f"use {near!r}" if near else "use a name that `molmo-point taught list` shows"
        raise InputError("name must be that of a taught object", f"{name!r}; {known}", fix)

    def suggestion(self, words: str) -> str:
        """Return the name, alias or category that a query may have meant; empty without one like it."""
        own = [name for each in self.objects for name in each.own_names]
        return nearest_name(words, [*own, *(category for each in self.objects for category in each.categories)])

    def looks_like(self, name: str) -> tuple[str, ...]:
        """Return the names of other objects that an object may be confused with, likeliest first."""
        return confusable(self.examples, self.heads, self.find(name).name)

    def taught(
        self,
        name: str,
        views: Sequence[ShownView],
        aliases: Sequence[str] = (),
        categories: Sequence[str] = (),
        add: bool = False,
    ) -> "Library":
        """Teach an object.

        Args:
            name: Name of the object.
            views: One view or more.
            aliases: Other names of this object alone.
            categories: Words that it may share with other objects.
            add: Whether the views are added to an object of this name; else a name that exists is refused.

        Raises:
            InputError: There is no view, a name cannot be used, or it exists.
        """
        if not views:
            raise InputError("views must not be empty", "no views", "show the object once at least")
        network = self.load_network()
        kept = tuple(TaughtView(view_examples(view, network), thumbnail_of(view), view.origin, view.stamp_ns) for view in views)
        before = self.find(name) if add else None
        fresh = checked_object(name if before is None else before.name, kept, aliases, categories)
        if before is not None:
            words = {
                "aliases": joined_words(before.aliases, fresh.aliases),
                "categories": joined_words(before.categories, fresh.categories),
            }
            fresh = replace(before, views=before.views + kept, **words)
        others = tuple(each for each in self.objects if each is not before)
        check_names(fresh, others)
        objects = tuple(fresh if each is before else each for each in self.objects) if before else (*self.objects, fresh)
        taught = replace(self, objects=objects)
        return replace(taught, heads=fit_heads(taught.examples, self.heads, fresh.name))

    def forgotten(self, name: str) -> "Library":
        """Forget an object; InputError if the name is not its own."""
        gone = self.find(name)
        heads = {known: head for known, head in self.heads.items() if known != gone.name}
        return replace(self, objects=tuple(each for each in self.objects if each is not gone), heads=heads)

    def renamed(self, old: str, new: str) -> "Library":
        """Give an object another name; InputError if the old one is unknown, or the new one exists or cannot be used."""
        found = self.find(old)
        name = checked_name(new)
        aliases = tuple(alias for alias in found.aliases if name_key(alias) != name_key(name))
        heads = {name if known == found.name else known: head for known, head in self.heads.items()}
        return replace(self._with(found, replace(found, name=name, aliases=aliases)), heads=heads)

    def with_words(self, name: str, *, aliases: Sequence[str] = (), categories: Sequence[str] = ()) -> "Library":
        """Add aliases and categories to an object; InputError if one cannot be used or names another object."""
        found = self.find(name)
        more = checked_object(found.name, found.views, aliases, categories)
        words = {
            "aliases": joined_words(found.aliases, more.aliases),
            "categories": joined_words(found.categories, more.categories),
        }
        return self._with(found, replace(found, **words))

    def with_alias(self, name: str, alias: str) -> "Library":
        """Add another name of an object; errors as `with_words`."""
        return self.with_words(name, aliases=(alias,))

    def without_words(self, name: str, word: str) -> "Library":
        """Take an alias or a category from an object.

        Raises:
            InputError: The object is unknown, or has no such word.
        """
        found, key = self.find(name), name_key(word)
        rest = replace(
            found,
            aliases=tuple(alias for alias in found.aliases if name_key(alias) != key),
            categories=tuple(category for category in found.categories if name_key(category) != key),
        )
        if (rest.aliases, rest.categories) == (found.aliases, found.categories):
            has = listed_names((*found.aliases, *found.categories)) or "none"
            raise InputError(
                f"word must be an alias or a category of {found.name!r}", f"{word!r}; it has {has}", "check the word"
            )
        return self._with(found, rest)

    def without_view(self, name: str, index: int) -> "Library":
        """Take a view, counted from 0, from an object, and fit its head again; InputError if it is missing, or the last."""
        found = self.find(name)
        if not 0 <= index < len(found.views) or len(found.views) == 1:
            given = f"{index} of {len(found.views)} views"
            fix = "forget the object instead" if len(found.views) == 1 else f"give 0 to {len(found.views) - 1}"
            raise InputError("view must be one of several of the object", given, fix)
        rest = self._with(found, replace(found, views=found.views[:index] + found.views[index + 1 :]))
        return replace(rest, heads=fit_heads(rest.examples, rest.heads, found.name))

    def merged(self, other: "Library") -> "Library":
        """Add the objects of another library.

        Objects that are the same in both count once. Heads of objects that look alike are fitted again.

        Raises:
            InputError: The other library has other features, or a name stands for two different objects.
        """
        if other.features != self.features:
            fix = "teach the objects of one of them again with this version of molmo-point"
            raise InputError("libraries must be of the same features", f"{self.features} and {other.features}", fix)
        known = {each.name: each for each in self.objects}
        objects, added = list(self.objects), []
        for each in other.objects:
            if each.name in known and known[each.name].digest == each.digest:
                continue
            try:
                check_names(each, objects)
            except InputError as error:
                given = f"{error.given}, in {other.title or 'the other library'}"
                raise InputError(error.what, given, "rename one of them with `molmo-point taught rename`") from error
            objects.append(each)
            added.append(each.name)
        heads = {**{name: other.heads[name] for name in added}, **self.heads}
        titles = tuple(dict.fromkeys(title for title in (self.title, other.title) if title))
        both = replace(self, objects=tuple(objects), heads=heads, title="+".join(titles))
        return both.with_alike_told_apart(added)

    def with_alike_told_apart(self, names: Iterable[str]) -> "Library":
        """Fit the heads again of those of the named objects that look like another one, and of those that they look like."""
        heads, examples = self.heads, self.examples
        for name in names:
            alike = len(self.objects) > 1 and confusable(examples, heads, name)
            heads = fit_heads(examples, heads, name) if alike else heads
        return replace(self, heads=heads)

    def _with(self, before: TaughtObject, after: TaughtObject) -> "Library":
        check_names(after, [each for each in self.objects if each is not before])
        return replace(self, objects=tuple(after if each is before else each for each in self.objects))

    @cached_property
    def _strict(self) -> dict[NameKey, tuple[TaughtObject, ...]]:
        """Objects by the keys of their words; own names come before categories."""
        found: dict[NameKey, tuple[TaughtObject, ...]] = {}
        for each in self.objects:
            for category in each.categories:
                found[name_key(category)] = (*found.get(name_key(category), ()), each)
        return found | {name_key(name): (each,) for each in self.objects for name in each.own_names}

    @cached_property
    def _loose(self) -> dict[NameKey, tuple[TaughtObject, ...]]:
        """Objects by the keys of their words in the singular; all that share one."""
        found: dict[NameKey, dict[str, TaughtObject]] = {}
        for key, objects in self._strict.items():
            found.setdefault(loose_key(key), {}).update({each.name: each for each in objects})
        return {key: tuple(objects.values()) for key, objects in found.items()}


def network_of(features: str) -> FeatureNetwork:
    """Load the feature network of a version of the features; errors as `Library.load_network`."""
    name = features.rpartition("-")[0]
    if name in available_networks() and (network := load_feature_network(name)).version == features:
        return network
    known = ", ".join(load_feature_network(each).version for each in available_networks())
    fix = "teach its objects again with this version, or use the version of molmo-point that wrote it"
    raise InputError("library must be of features that this version has", f"{features[:80]!r}, not {known}", fix)


def listed_names(names: Sequence[str]) -> str:
    """Write names for a message, the first few of many."""
    shown = [repr(name) for name in names[:_NAMED_AT_MOST]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
