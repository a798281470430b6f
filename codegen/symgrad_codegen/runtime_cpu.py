# --- Fixed run-time text, the same in every module: it chooses by what this machine has. ------------------------------

JIT = not config.DISABLE_JIT


def load_vector_library():
    """SIMD mathematical functions: glibc's libmvec, else Intel's SVML where it is installed, else none.

    Returns the library, its names as a format, and {suffix: bytes per vector} of the widths that this CPU has.
    """
    features = (config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()).split(",")
    present = {"b": ("+sse4.2", 16), "d": ("+avx2", 32), "e": ("+avx512dq", 64)}
    widths = {letter: size for letter, (feature, size) in present.items() if feature in features}
    svml = os.path.join(sys.prefix, "lib", "libsvml.so")
    for path, names, needs in (
        ("libmvec.so.1", "_ZGV{letter}N{lanes}{arguments}_{symbol}", None),
        (svml, "__svml_{symbol}{lanes}", os.path.join(sys.prefix, "lib", "libintlc.so.5")),
    ):
        try:
            for dependency in [needs] if needs else []:
                ctypes.CDLL(dependency, mode=ctypes.RTLD_GLOBAL)
            library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            llvmlite.binding.load_library_permanently(path)  # before a cached kernel that calls it
            return library, names, widths
        except (OSError, RuntimeError):
            continue
    return None, "", {}


VECTOR_LIBRARY, VECTOR_NAMES, VECTOR_WIDTHS = load_vector_library() if JIT and VECTORISE else (None, "", {})


def library_function(name, arity, python):
    """The C function `name`; LLVM may call its SIMD versions in a loop. As plain Python: `python`."""
    if not JIT:
        return python if real_name == "float64" else lambda *arguments: np.float32(python(*arguments))

    def call(context, builder, signature, arguments):
        kind = context.get_value_type(signature.return_type)
        single = isinstance(kind, ir.FloatType)
        if single and not VECTORISE:
            # Strict: rounded from float64, as plain Python does it.
            kind, arguments = ir.DoubleType(), [builder.fpext(a, ir.DoubleType()) for a in arguments]
        symbol = name + "f" * (isinstance(kind, ir.FloatType))
        module = builder.module
        function = module.globals.get(symbol) or ir.Function(module, ir.FunctionType(kind, [kind] * arity), symbol)
        result = builder.call(function, arguments)
        for attribute in ("nounwind", "willreturn", "memory(none)"):
            set.add(result.attributes, attribute)
        variants = list(vector_variants(module, symbol, kind, arity))
        if variants:
            listed = ",".join(f"_ZGV_LLVM_N{lanes}{'v' * arity}_{symbol}({variant})" for lanes, variant in variants)
            set.add(result.attributes, f'"vector-function-abi-variant"="{listed}"')
        return builder.fptrunc(result, ir.FloatType()) if single and not VECTORISE else result

    if arity == 1:

        @intrinsic
        def function(typing, x):
            return x(x), call

    else:

        @intrinsic
        def function(typing, x, y):
            return x(x, y), call

    return function


def vector_variants(module, symbol, kind, arity):
    """Declares the SIMD versions of a C function that exist here, and keeps LLVM from dropping the declarations."""
    pointer = ir.IntType(8).as_pointer()
    kept = module.globals.get("llvm.compiler.used")
    used = list(kept.initializer.constant) if kept is not None else []
    for letter, size in VECTOR_WIDTHS.items():
        lanes = size // (4 if isinstance(kind, ir.FloatType) else 8)
        variant = VECTOR_NAMES.format(letter=letter, lanes=lanes, arguments="v" * arity, symbol=symbol)
        if not hasattr(VECTOR_LIBRARY, variant):
            continue
        if variant not in module.globals:
            vector = ir.VectorType(kind, lanes)
            declared = ir.Function(module, ir.FunctionType(vector, [vector] * arity), variant)
            used.append(declared.bitcast(pointer))
        yield lanes, variant
    if used:
        array = ir.ArrayType(pointer, len(used))
        if kept is None:
            kept = ir.GlobalVariable(module, array, "llvm.compiler.used")
            kept.linkage, kept.section = "appending", "llvm.metadata"
        kept.value_type, kept.type = array, array.as_pointer()
        kept.initializer = ir.Constant(array, used)


def rounded_function(python):
    """A function of the math module that Numba knows. As plain Python its result is rounded to the kernel's type."""
    return python if JIT or real_name == "float64" else lambda *arguments: np.float32(python(*arguments))


def select_function():
    """select(condition, taken, otherwise) without a branch: both are computed, so that a loop stays vectorised."""
    if not JIT:
        return lambda condition, taken, otherwise: taken if condition else otherwise

    def call(context, builder, signature, arguments):
        return builder.select(*arguments)

    @intrinsic
    def select(typing, condition, taken, otherwise):
        return taken(types.boolean, taken, taken), call

    return select


def llvm_function(name, python):
    """The LLVM intrinsic `name` of one number, as floating point. As plain Python: `python`."""
    if not JIT:
        return lambda x: type(x)(python(x))

    def call(context, builder, signature, arguments):
        return builder.call(builder.module.declare_intrinsic(f"llvm.{name}", [arguments[0].type]), arguments)

    @intrinsic
    def function(typing, x):
        return x(x), call

    return function


if JIT:

    @intrinsic
    def wide_and_unaliased(typing):
        """Marks the function that it is called in: its arrays do not overlap, and 512-bit vectors are welcome."""

        def mark(context, builder, signature, arguments):
            for argument in builder.function.args:
                if isinstance(argument.type, ir.PointerType):
                    argument.add_attribute("noalias")
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.void(), mark

    @intrinsic
    def stream(typing, target, start, block):
        """Copies `block` to target[start:], past the cache; needs 64-byte alignment and whole cache lines."""

        def copy(context, builder, signature, arguments):
            kind = context.get_value_type(signature.args[0].dtype)
            lanes = 64 // (4 if isinstance(kind, ir.FloatType) else 8)
            vector, size = ir.VectorType(kind, lanes).as_pointer(), ir.IntType(64)
            out = make_array(signature.args[0])(context, builder, arguments[0])
            row = make_array(signature.args[2])(context, builder, arguments[2])
            begin = builder.gep(out.data, [arguments[1]])
            with cgutils.for_range_slice(builder, size(0), size(BLOCK), size(lanes), intp=size) as (place, _):
                value = builder.load(builder.bitcast(builder.gep(row.data, [place]), vector), align=64)
                stored = builder.store(value, builder.bitcast(builder.gep(begin, [place]), vector), align=64)
                stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
            return context.get_dummy_value()

        return types.void(target, start, block), copy

else:

    def wide_and_unaliased():
        pass

    def stream(target, start, block):
        target[start : start + BLOCK] = block


def aligned(*shape):
    """An uninitialised array that begins on a cache line."""
    itemsize = np.dtype(real_name).itemsize
    buffer = np.empty(int(np.prod(shape)) * itemsize + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + buffer.size - 64].view(real_name).reshape(shape)


def run_points(inputs, outputs):
    """Fills the outputs: contiguous arrays of one length and of the kernel's dtype that overlap no input."""
    count = len(outputs[0])
    whole = count - count % BLOCK
    if whole:
        streamed = whole * len(outputs) * outputs[0].itemsize > STREAMED_BYTES and all(
            array.ctypes.data % 64 == 0 for array in outputs
        )
        points(0, whole, *inputs, *outputs, aligned(len(outputs), BLOCK) if streamed else None)
    if count > whole:
        # The last block is padded with its last point, so that a result does not depend on the length of the batch.
        rest = count - whole
        rows = aligned(len(inputs) + len(outputs), BLOCK)
        for row, array in zip(rows, inputs):
            row[:rest] = array[whole:]
            row[rest:] = array[count - 1]
        points(0, BLOCK, *rows, None)
        for row, array in zip(rows[len(inputs) :], outputs):
            array[whole:] = row[:rest]


def run_batch(inputs, out):
    """`kernel_batch` of this module: checks its arrays, or makes `out`, and fills it."""
    inputs = [np.ascontiguousarray(array, real_name) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = len(inputs[0]) if inputs else 1
    if out is None:
        out = aligned(count), tuple(aligned(count) for _ in WRT)
    outputs = [out[0], *out[1]]
    for array in outputs:
        if array.shape != (count,) or array.dtype != real_name or not array.flags.c_contiguous:
            raise ValueError(f"out must hold contiguous {real_name} arrays of {count} elements")
        if any(np.may_share_memory(array, other) for other in inputs):
            raise ValueError("out must not overlap an input")
    run_points(inputs, outputs)
    return out
