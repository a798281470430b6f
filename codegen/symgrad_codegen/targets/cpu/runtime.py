# --- Fixed run-time text, the same in every module: it chooses by what this machine has. ------------------------------

JIT = not config.DISABLE_JIT
if not JIT:
    real = np.dtype(real_name).type  # NumPy knows none of Numba's types


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

else:

    def wide_and_unaliased():
        pass
