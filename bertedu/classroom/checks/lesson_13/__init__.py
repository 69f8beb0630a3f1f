"""Checks of lesson 13, the bug museum: a module a room, in the order of its exhibits."""

from bertedu.classroom.checks.lesson_13 import room_1_text as room_1_text
from bertedu.classroom.checks.lesson_13 import room_2_masks as room_2_masks
from bertedu.classroom.checks.lesson_13 import room_3_pairs as room_3_pairs
from bertedu.classroom.checks.lesson_13 import room_4_model as room_4_model
from bertedu.classroom.checks.lesson_13 import room_5_losses as room_5_losses
from bertedu.classroom.checks.lesson_13 import room_6_finetuning as room_6_finetuning
from bertedu.classroom.checks.lesson_13 import room_7_answers as room_7_answers
