/* Arguments that are written where a function is called: arrays, and structs of which some members
   are named and the others are 0. CB_SHAPE, CB_AXES and the macros with options are made of these.

   In C they are compound literals. C++ has none, and designated initialisers only since C++20, in
   the order of declaration; so there, from C++11 on, each `.member = value` becomes an assignment
   to a temporary struct that lives until the call returns. The two differ in this:
   - in C++ a value with a comma outside of parentheses is no value. A member that is a struct or an
     array is set piece by piece, as in C: .weight_init.kind = CB_INIT_ZEROS, .stride[0] = 2;
   - in C++ at most 32 members are set at once, in functions and classes;
   - clang before 16 wants structured bindings, auto [a, b] = ..., copied before they are used. */
#ifndef CEREBRA_ARGUMENTS_H
#define CEREBRA_ARGUMENTS_H

#ifndef __cplusplus

/* The address of a struct of the type, const, with the members that are given; the others are 0:
     cb_rnn_forward(rnn, x, CB_STRUCT(cb_rnn_io, .lengths = lengths))
   It lives until the call returns, and in C until its block ends. */
#define CB_STRUCT(type, ...) (&(const type){__VA_ARGS__})

/* Two arguments, of an int and a const type *: the number of elements, and the elements. */
#define CBI_ARRAY(type, ...)                                                                       \
    (int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type)), (const type[]) {                          \
        __VA_ARGS__                                                                                \
    }

/* A struct of a count and an array, as the value of a member. */
#define CBI_LIST(list, type, ...)                                                                  \
    {                                                                                              \
        (int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type)), {                                     \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* A member of a type, of which the size is asked. */
#define CBI_MEMBER(type, member) ((type *)0)->member

#else

extern "C++" {
namespace cbi {

/* What is passed as its address: it lives as long as the expression that it is written in. */
template <class T> struct temporary {
    T value;
    operator const T *() const {
        return &value;
    }
};

template <class T, class Set> temporary<T> filled(const Set &set) {
    temporary<T> made = temporary<T>();
    set(made.value);
    return made;
}

/* The struct itself: `same(s) .member = value;` is an assignment, and `same(s);` nothing. */
template <class T> T &same(T &s) {
    return s;
}

template <class T, int COUNT> struct array {
    T elements[COUNT];
    operator const T *() const {
        return elements;
    }
};

template <class T, class... Given> array<T, sizeof...(Given)> array_of(const Given &...given) {
    return array<T, sizeof...(Given)>{{static_cast<T>(given)...}};
}

template <class List, class T, class... Given> List list_of(const Given &...given) {
    return List{static_cast<int>(sizeof...(Given)), {static_cast<T>(given)...}};
}

/* Its size is the number of arguments, which are not computed for it. */
template <class... Given> char (&counted(const Given &...))[sizeof...(Given)];

} // namespace cbi
} // extern "C++"

#define CB_STRUCT(type, ...)                                                                       \
    cbi::filled<type>([&](type &cbi_s) {                                                           \
        CBI_SET(cbi_s, __VA_ARGS__, , , , , , , , , , , , , , , , , , , , , , , , , , , , , , , ,  \
                , )                                                                                \
    })

/* Sets the members a to F, of which any may be empty. The 33rd is one too many, and no C++. */
#define CBI_SET(s, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, t, u, v, w, x, y, z, A,   \
                B, C, D, E, F, G, too_many, ...)                                                   \
    CBI_SET_8(s, a, b, c, d, e, f, g, h)                                                           \
    CBI_SET_8(s, i, j, k, l, m, n, o, p)                                                           \
    CBI_SET_8(s, q, r, t, u, v, w, x, y)                                                           \
    CBI_SET_8(s, z, A, B, C, D, E, F, G)                                                           \
    static_cast<void>(0 too_many);
#define CBI_SET_8(s, a, b, c, d, e, f, g, h)                                                       \
    cbi::same(s) a;                                                                                \
    cbi::same(s) b;                                                                                \
    cbi::same(s) c;                                                                                \
    cbi::same(s) d;                                                                                \
    cbi::same(s) e;                                                                                \
    cbi::same(s) f;                                                                                \
    cbi::same(s) g;                                                                                \
    cbi::same(s) h;

#define CBI_ARRAY(type, ...)                                                                       \
    static_cast<int>(sizeof(cbi::counted(__VA_ARGS__))), cbi::array_of<type>(__VA_ARGS__)

/* In parentheses, for a comma outside of them ends a member. */
#define CBI_LIST(list, type, ...) (cbi::list_of<list, type>(__VA_ARGS__))

#define CBI_MEMBER(type, member) type::member

#endif

/* The macro `one` where a single argument follows, `more` where there are up to 33. ISO C wants at
   least one argument for `...`, so that a macro whose options may all be left out has to tell. */
#define CBI_ONE_OR_MORE(one, more, ...)                                                            \
    CBI_34TH(__VA_ARGS__, more, more, more, more, more, more, more, more, more, more, more, more,  \
             more, more, more, more, more, more, more, more, more, more, more, more, more, more,   \
             more, more, more, more, more, more, one, )
#define CBI_34TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A,  \
                 B, C, D, E, F, G, it, ...)                                                        \
    it

#endif
