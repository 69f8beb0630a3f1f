;; A linear layer, y = (x W^T) * scale + bias, in 128-bit SIMD. W is int8, with a scale a row; x, y,
;; scale and bias are float32. A row of W becomes float32 once, and then meets four tokens at a time.
;; `products` is the same for rows that are float32 already, as attention has them.
;; `node tests/js/build_kernel.mjs` makes kernel.js of this file; a test holds the two equal.
(module
  (import "memory" "all" (memory 1))
  (func (export "linear")
    (param $x i32)       ;; [tokens, width] float32; tokens is a multiple of 4
    (param $weight i32)  ;; [features, width] int8; width is a multiple of 8
    (param $scale i32)   ;; [features] float32
    (param $bias i32)    ;; [features] float32
    (param $y i32)       ;; [tokens, features] float32, the result
    (param $row i32)     ;; [width] float32, room for the row at hand
    (param $tokens i32) (param $width i32) (param $features i32)
    (local $feature i32) (local $i i32) (local $at i32) (local $eight v128)
    (loop $features
      ;; the row, from int8 by int16 and int32 to float32, eight at a time
      (local.set $i (i32.const 0))
      (loop $widen
        (local.set $eight (v128.load8x8_s (local.get $weight)))
        (local.set $at (i32.add (local.get $row) (i32.shl (local.get $i) (i32.const 2))))
        (v128.store (local.get $at)
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight))))
        (v128.store offset=16 (local.get $at)
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight))))
        (local.set $weight (i32.add (local.get $weight) (i32.const 8)))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (br_if $widen (i32.lt_u (local.get $i) (local.get $width))))
      (call $meet (local.get $x) (local.get $row)
        (f32.load (local.get $scale)) (f32.load (local.get $bias))
        (i32.add (local.get $y) (i32.shl (local.get $feature) (i32.const 2)))
        (local.get $tokens) (local.get $width) (local.get $features))
      (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
      (local.set $bias (i32.add (local.get $bias) (i32.const 4)))
      (local.set $feature (i32.add (local.get $feature) (i32.const 1)))
      (br_if $features (i32.lt_u (local.get $feature) (local.get $features)))))

  (func (export "products")
    (param $x i32)       ;; [tokens, width] float32
    (param $rows i32)    ;; [features, width] float32
    (param $scale f32)   ;; of all products
    (param $y i32)       ;; [tokens, features] float32, the result
    (param $tokens i32) (param $width i32) (param $features i32)
    (local $feature i32)
    (loop $features
      (call $meet (local.get $x) (local.get $rows) (local.get $scale) (f32.const 0)
        (i32.add (local.get $y) (i32.shl (local.get $feature) (i32.const 2)))
        (local.get $tokens) (local.get $width) (local.get $features))
      (local.set $rows (i32.add (local.get $rows) (i32.shl (local.get $width) (i32.const 2))))
      (local.set $feature (i32.add (local.get $feature) (i32.const 1)))
      (br_if $features (i32.lt_u (local.get $feature) (local.get $features)))))

  ;; the products of one row with all tokens: four running sums each of four tokens
  (func $meet (param $at i32) (param $row i32) (param $scale f32) (param $bias f32) (param $out i32)
    (param $tokens i32) (param $width i32) (param $features i32)
    (local $stride i32)  ;; bytes of a token in x
    (local $step i32)    ;; bytes of a token in y
    (local $token i32) (local $i i32)
    (local $w v128) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $stride (i32.shl (local.get $width) (i32.const 2)))
    (local.set $step (i32.shl (local.get $features) (i32.const 2)))
    (loop $tokens
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))
      (local.set $c (v128.const f32x4 0 0 0 0))
      (local.set $d (v128.const f32x4 0 0 0 0))
      (local.set $i (i32.const 0))
      (loop $products
        (local.set $w (v128.load (i32.add (local.get $row) (local.get $i))))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $w)
          (v128.load (i32.add (local.get $at) (local.get $i))))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $w)
          (v128.load (i32.add (i32.add (local.get $at) (local.get $stride)) (local.get $i))))))
        (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $w)
          (v128.load (i32.add (i32.add (local.get $at) (i32.shl (local.get $stride) (i32.const 1)))
            (local.get $i))))))
        (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $w)
          (v128.load (i32.add (i32.add (local.get $at) (i32.mul (local.get $stride) (i32.const 3)))
            (local.get $i))))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $products (i32.lt_u (local.get $i) (local.get $stride))))
      (call $keep (local.get $out) (local.get $a) (local.get $scale) (local.get $bias))
      (local.set $out (i32.add (local.get $out) (local.get $step)))
      (call $keep (local.get $out) (local.get $b) (local.get $scale) (local.get $bias))
      (local.set $out (i32.add (local.get $out) (local.get $step)))
      (call $keep (local.get $out) (local.get $c) (local.get $scale) (local.get $bias))
      (local.set $out (i32.add (local.get $out) (local.get $step)))
      (call $keep (local.get $out) (local.get $d) (local.get $scale) (local.get $bias))
      (local.set $out (i32.add (local.get $out) (local.get $step)))
      (local.set $at (i32.add (local.get $at) (i32.shl (local.get $stride) (i32.const 2))))
      (local.set $token (i32.add (local.get $token) (i32.const 4)))
      (br_if $tokens (i32.lt_u (local.get $token) (local.get $tokens)))))

  ;; one number of y: the four sums as one, scaled, plus the bias
  (func $keep (param $out i32) (param $sums v128) (param $scale f32) (param $bias f32)
    (f32.store (local.get $out) (f32.add (local.get $bias)
      (f32.mul (local.get $scale) (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $sums)) (f32x4.extract_lane 1 (local.get $sums)))
        (f32.add (f32x4.extract_lane 2 (local.get $sums)) (f32x4.extract_lane 3 (local.get $sums))))))))
)
