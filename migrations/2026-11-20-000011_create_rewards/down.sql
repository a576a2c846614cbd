DROP TABLE reward_earning_fulfillments;
DROP TABLE reward_earnings;
DROP TABLE rewards;
DROP TABLE reward_program_activations;
DROP TABLE reward_programs;
