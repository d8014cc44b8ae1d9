"""Many arrays as one argument: kernels get one pointer to where the arrays are described.

Numba would pass a tuple of arrays by value: hundreds of numbers at each call of each function, and names as
long. A kernel cannot put another array in a place, so what is loaded once stays true.
"""

from typing import Any, TypeVar

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.core.typing.templates import AttributeTemplate
from numba.core.typing.typeof import typeof, typeof_impl
from numba.extending import NativeValue, infer_getattr, lower_getattr_generic, register_model, unbox

T = TypeVar("T", bound=type[Any])


class TablesType(types.Type):  # type: ignore[misc]
    """A named tuple of arrays, by reference."""

    def __init__(self, name: str, fields: tuple[tuple[str, Any], ...]) -> None:
        super().__init__(name)
        self.fields = dict(fields)

    def make_layout(self, context: Any) -> Any:
        """Return the structure that the pointer leads to: the description of each array."""
        return ir.LiteralStructType([context.get_value_type(each) for each in self.fields.values()])


@register_model(TablesType)
class TablesModel(PrimitiveModel):  # type: ignore[misc]
    """A plain pointer."""

    def __init__(self, manager: Any, kind: TablesType) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@infer_getattr
class TablesAttributes(AttributeTemplate):  # type: ignore[misc]
    """The arrays, by name."""

    key = TablesType

    def generic_resolve(self, kind: TablesType, name: str) -> Any:
        """Return the type of an array, or None if there is none of that name."""
        return kind.fields.get(name)


@lower_getattr_generic(TablesType)  # type: ignore[untyped-decorator]
def load_array(context: Any, builder: Any, kind: TablesType, value: Any, name: str) -> Any:
    """Generate the load of an array's description."""
    place = list(kind.fields).index(name)
    layout = builder.bitcast(value, kind.make_layout(context).as_pointer())
    loaded = builder.load(cgutils.gep_inbounds(builder, layout, 0, place))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@unbox(TablesType)  # type: ignore[untyped-decorator]
def unbox_tables(kind: TablesType, tables: Any, c: Any) -> Any:
    """Describe each array where the pointer leads, for as long as the call lasts."""
    layout = cgutils.alloca_once(c.builder, kind.make_layout(c.context))
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    for place, each in enumerate(kind.fields.values()):
        array = c.unbox(each, c.pyapi.tuple_getitem(tables, place))
        c.builder.store(array.value, cgutils.gep_inbounds(c.builder, layout, 0, place))
        c.builder.store(c.builder.or_(c.builder.load(failed), array.is_error), failed)
    pointer = c.builder.bitcast(layout, ir.IntType(8).as_pointer())
    return NativeValue(pointer, is_error=c.builder.load(failed))


def pass_by_reference(named_tuple: T) -> T:
    """Let kernels take a class of named tuples of arrays by reference. The arrays of a field have the same
    type in every instance.
    """
    known: list[TablesType] = []

    @typeof_impl.register(named_tuple)  # type: ignore[untyped-decorator]
    def type_tables(value: Any, context: Any) -> TablesType:
        if not known:
            fields = zip(value._fields, (typeof(each) for each in value), strict=True)
            known.append(TablesType(named_tuple.__name__, tuple(fields)))
        return known[0]

    return named_tuple
